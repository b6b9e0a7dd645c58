"""What Python and the engine in Lua agree on."""
