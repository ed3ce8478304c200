"""The commands, one module each; `register` adds them to the parser. Heavy imports wait until a command runs."""
