"""How many examples of a law are drawn."""

import os

from hypothesis import settings

NIGHTLY = os.environ.get("LLM_SERVING_NIGHTLY") == "1"
"""`make test-all` sets it: every case of a long table, every example of a slow law."""


def law(examples: int, nightly: int) -> settings:
    """Settings of a law whose examples are dear: so many in an ordinary run, so many at night."""
    return settings(max_examples=nightly if NIGHTLY else examples)
