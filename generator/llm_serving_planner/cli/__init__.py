"""The command line: one module per command, one parser, exit codes. Nothing imports it."""
