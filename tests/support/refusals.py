"""What the chart says when it refuses, and the pair of tests that each table of refusals gets."""

from collections.abc import Callable
from typing import Any

import pytest
from support.helm import RefusedError, Renderer, merge

Refusal = tuple[dict[str, Any], str, dict[str, Any]]
"""Changes that are refused, the whole text of the one problem, and changes close by that are not."""
RenderTest = Callable[[Renderer, str], None]


def refusal(render: Renderer, values: dict[str, Any], **options: Any) -> str:
    """The message; a failure where the chart renders."""
    with pytest.raises(RefusedError) as refused:
        render(values, **options)
    return str(refused.value)


def refusal_tests(base: dict[str, Any], table: dict[str, Refusal]) -> tuple[RenderTest, RenderTest]:
    """Two tests of a table over `base`: each case is refused for this reason alone, each neighbour renders."""

    @pytest.mark.parametrize("case", table)
    def refused(render: Renderer, case: str) -> None:
        changes, text, _ = table[case]
        assert f"llm-serving: 1 problem with the values:\n  1. {text}" in refusal(render, merge(base, changes))

    @pytest.mark.parametrize("case", table)
    def passes(render: Renderer, case: str) -> None:
        assert render(merge(base, table[case][2]))

    return refused, passes
