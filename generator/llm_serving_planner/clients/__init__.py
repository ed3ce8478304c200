"""Clients of a running engine, one module per protocol; each can be used without the command line."""
