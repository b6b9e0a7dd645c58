"""The language server: what editors ask over LSP, answered from the work tree and the buffers over it."""
