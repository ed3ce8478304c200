"""Test clusters: kind, simulated GPUs, chart-testing, and the chart as it was released."""
