"""One worker process of a daemon: `python -I -m luasprocs.worker` runs async sprocs, one at a time."""
