-- Says hello, and leaves the greeting in a key.
--
-- KEYS   none, or the key to write; `sc1` when none is given
-- reply  hello world
--
-- description=Say hello and remember it
-- tags=first
local greeting = 'hello world'
redis.call('SET', KEYS[1] or 'sc1', greeting)
return greeting
