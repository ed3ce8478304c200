"""From the tree to what a stranger installs: package, signature, registry, index, release. `python -m publishing`."""
