"""The debugger's front ends: a debug adapter for editors, and a prompt."""
