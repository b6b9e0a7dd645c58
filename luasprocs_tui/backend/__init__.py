"""Everything that the screen asks of Redis or does to it: blocking, in threads. Knows no widget."""
