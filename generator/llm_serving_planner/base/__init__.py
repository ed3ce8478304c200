"""Units, files, tables and errors. Imports nothing else of this package."""
