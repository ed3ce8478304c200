"""Turns a model, a profile and options into a Plan, or into every reason why there is none."""
