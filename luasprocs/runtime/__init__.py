"""The runtime: runs sprocs when keys change, exactly once with any number of daemons; docs/guarantees.md explains how.

wire -> listener -> numbering -> dispatcher -> the engine's dispatch; `daemon` puts them together.
"""
