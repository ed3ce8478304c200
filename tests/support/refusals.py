"""What the chart says when it refuses."""

from typing import Any

import pytest
from chart.helm import RefusedError, Renderer


def refusal(render: Renderer, values: dict[str, Any], **options: Any) -> str:
    """The message; a failure where the chart renders."""
    with pytest.raises(RefusedError) as refused:
        render(values, **options)
    return str(refused.value)
