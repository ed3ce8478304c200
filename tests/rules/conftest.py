"""Where promtool is: `make test-rules` and .ci/run demand it, elsewhere its absence is told as a skip."""

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        how = "promtool is not on PATH: apt-get install prometheus brings it"
        if os.environ.get("LLM_SERVING_NEED_PROMTOOL"):
            pytest.fail(how)
        pytest.skip(how)
    return found
