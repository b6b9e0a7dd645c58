"""The daemon as a service: sources, reconciliation, HTTP."""
