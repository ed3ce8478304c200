"""Turns a plan into values, engine flags, explanations and reports. Only this folder knows the chart's keys."""
