"""What the screen shows, as frozen values, and how it is written. Pure: no Redis, no widget."""
