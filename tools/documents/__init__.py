"""Generated pages of docs/, and the commands in hand-written pages: run in a copy of the tree, their output kept."""
