"""One module per kind of device: how NVIDIA GPUs, other accelerators and CPUs differ."""
