"""Everything that asks a cluster, through one kubectl client, and checks on what it answers."""
