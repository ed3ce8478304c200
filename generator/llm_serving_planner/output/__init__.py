"""What becomes of a plan: values, engine flags, explanations, reports. Alone knows the chart's keys."""
