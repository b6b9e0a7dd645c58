"""The daemon as a service: sources, looks, HTTP."""
