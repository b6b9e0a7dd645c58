"""What a sproc is: header, metadata, Lua. No Redis, no disk."""
