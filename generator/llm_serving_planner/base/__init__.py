"""Units, files, tables, errors: what every layer stands on. Imports nothing of this package."""
