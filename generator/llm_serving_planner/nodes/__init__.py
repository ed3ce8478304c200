"""Manifests for GPU nodes on AWS: one node pool, one module per output format."""
