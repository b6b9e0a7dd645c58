"""Keeps Redis equal to git: read, diff, apply. Imports nothing by itself, so that a command loads only what it needs."""
