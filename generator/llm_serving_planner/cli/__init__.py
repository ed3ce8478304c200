"""The command line: one parser, one module per command, exit codes. Nothing imports it."""
