"""GPUs, machine types and profiles: what there is to run on."""
