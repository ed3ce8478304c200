"""Clients for a running engine, one module per protocol, usable without the command line."""
