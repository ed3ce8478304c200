"""What stands against a release on a certain cluster, found before it is installed."""
