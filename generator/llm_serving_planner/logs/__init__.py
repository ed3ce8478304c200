"""Reads the memory figures in an engine's log and compares them with the plan."""
