"""Facts about each engine version: memory rules, kernels, flags and features. Plans nothing."""
