"""A debugger for sprocs: the server's own (LDB) for those that run there, a hook in Lua for async ones."""
