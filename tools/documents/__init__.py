"""The commands in the documents: found, run in a copy of the tree, and their output written into the page."""
