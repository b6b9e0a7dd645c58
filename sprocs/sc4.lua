-- Adds a line to the file sc4.txt, in the folder where async sprocs work, whenever a key that starts with
-- file is set or gets its name by RENAME: the name, a tab, the value. It runs in the background, where
-- files can be written. A run may be repeated after a crash, so a line can stand there twice.
--
-- KEYS   the key that was set, or the new name
-- ARGV   its value, the event, the type
-- reply  the number of bytes written
--
-- description=Write keys that start with file, and their values, to sc4.txt
-- tags=first
-- event=set,rename_to
-- key=file*
-- runasync=yes
local line = KEYS[1] .. '\t' .. (ARGV[1] or '') .. '\n'
local file = assert(io.open('sc4.txt', 'ab'))
assert(file:write(line))
assert(file:close()) -- what was buffered is written here, so a full disk shows up here
return #line
