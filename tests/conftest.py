"""Settings of all tests."""

import os

from hypothesis import settings

# gRPC servers of tests live beside programs that are forked and only call exec: gRPC must do nothing in a child. Read
# when grpc is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# A run without a person at it must judge the change and not the dice: new examples are for people to find.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
