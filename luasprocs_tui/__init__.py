"""The screen: `luasprocs-tui`. It knows Textual and reads frozen snapshots from the registry."""
