"""The commands, a module each; `sync.cli` imports the one that is used."""
