"""A server of one's own with sprocs in it, for tests: `luasprocs.testing` is its public name."""
