"""Settings of all tests."""

import os

from hypothesis import settings

# A run without a person at it must judge the change and not the dice: new examples are for people to find.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
