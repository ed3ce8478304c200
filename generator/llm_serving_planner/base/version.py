"""The version of generator and chart; they are released together."""

__version__ = "0.1.0"
