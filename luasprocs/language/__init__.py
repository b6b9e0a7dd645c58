"""What a sproc is, without Redis and without disk.

values, cron, globs       what single values may be
metadata, rules           keys of the header, and which go together
triggers/                 what starts a sproc, a module for each kind
recurrence, misfire       when a schedule is due, and what it owes
decoding, places, header  bytes to text, places in it, the header read and written
compiler, bytecode        Lua 5.1's judgement
tokens, references        what the body names, and where
sandbox                   what of that the server refuses
problems                  the codes of what can be wrong
analysis                  all of this about one text
files, sproc              a file that holds one
workspace, check          many, and what is wrong among them
"""
