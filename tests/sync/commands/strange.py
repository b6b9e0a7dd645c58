"""Names that people give to files."""

STRANGE = [
    "two words.lua",
    'it\'s "quoted".lua',
    "glob*[a]?.lua",
    "$HOME;`x`.lua",
    "-dash.lua",
    "ümläut/日本.lua",
    "\U0001f600.lua",
    "per%cent\\n.lua",
]
