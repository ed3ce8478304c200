"""Nodes with GPUs on AWS: one plan (`plan.py`), one module per form it is written in. No form knows another."""
