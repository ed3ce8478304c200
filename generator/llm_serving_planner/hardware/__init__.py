"""GPUs, machine types and profiles: what a plan may run on."""
