"""One module per kind of device: what differs between NVIDIA GPUs, other accelerators and CPUs."""
