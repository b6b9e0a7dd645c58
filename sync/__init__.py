"""Keeps Redis equal to git. Imports nothing by itself: a command loads only what it needs."""
