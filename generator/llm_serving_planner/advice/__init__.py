"""Which GPUs and machines serve a model for a workload, at what price and how fast."""
