"""From a model and a GPU profile to a computed, explained Helm values file."""
