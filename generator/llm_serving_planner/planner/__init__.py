"""From a model, a profile and options to a `Plan`, or to every reason why there is none."""
