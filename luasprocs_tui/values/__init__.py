"""What the screen shows: frozen values, and how they are written. Pure; nothing here takes time to import."""
