"""`luasprocs debug` on a terminal: a client of the debug adapter."""
