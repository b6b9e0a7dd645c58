"""The registry in Redis: what is live, and how it changes."""
