"""Every question to a cluster, through one kubectl client, and the checks on its answers."""
