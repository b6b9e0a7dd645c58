"""What an editor asks of a sproc's text: completion, hover, signatures, outline, fixes, names across files. Pure.

Places in a text are offsets in characters; `luasprocs.language` says what is wrong with it.
"""
