"""Ranks GPUs and machines for a workload by price and predicted speed."""
