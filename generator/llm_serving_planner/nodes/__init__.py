"""Manifests of GPU nodes on AWS: one node pool, one module per form it is written in."""
