"""Settings of all tests."""

import os

import pytest
from hypothesis import settings

# gRPC servers of tests live beside programs that are forked and only call exec: gRPC must do nothing in a child. Read
# when grpc is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

pytest.register_assert_rewrite("support")  # helpers that assert say as much as a test does

# No deadline: how long an example takes is the machine's affair, and at a desk other programs run beside it.
settings.register_profile("desk", deadline=None)
# A run without a person at it must judge the change and not the dice: new examples are for people to find.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
