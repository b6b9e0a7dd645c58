"""What a person does to sprocs, once for the command line, the screen, editors and tests.

Functions take a `Registry` and values, return frozen values, and raise errors of `luasprocs.errors`. They print nothing and
know no command line, no screen and no git. Errors of the connection stay redis-py's: `luasprocs.server.errors.errors_named` names
them, once, at the edge.
"""
