"""Reads config.json into a ModelSpec. Any field it does not understand is refused by name."""
