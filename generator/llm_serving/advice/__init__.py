"""Which GPUs and machines serve a model for a workload, at what price and how fast.

`roofline.py` predicts, `ranking.py` plans every candidate and sorts, `table.py` and `plot.py` show; all but `plot.py`
are pure.
"""
