"""The debugger, driven as an editor drives it."""
