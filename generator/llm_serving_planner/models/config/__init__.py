"""config.json read into a `ModelSpec`; every field that is not understood is refused by name."""
