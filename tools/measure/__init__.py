"""Measurements: real start-ups, costs, rival tools, coverage of model configs, and behaviour before and after."""
