"""Speed of a plan under a workload: a closed form that ranks, a simulation of the scheduler for what is left."""
