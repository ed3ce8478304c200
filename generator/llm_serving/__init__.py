"""From a model and a GPU profile to a computed, explained Helm values file."""

__version__ = "0.1.0"
