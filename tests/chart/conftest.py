"""The render tests run on every Helm that is there."""

import pytest
from support.helm import RENDERERS, Renderer


@pytest.fixture(params=sorted(RENDERERS))
def render(request: pytest.FixtureRequest) -> Renderer:
    return RENDERERS[request.param]
