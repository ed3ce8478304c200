"""Every values document that the schema admits renders to valid manifests or is refused in due form; none crashes.

LLM_SERVING_DOCUMENTS says how many documents are drawn (`make fuzz DOCUMENTS=5000`). The few of an ordinary run are
the same each time, so that it judges the change and not the dice.
"""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from fuzz.documents import LEAVES, documents, drawing, hands
from fuzz.judging import NEWEST, judge
from fuzz.kubernetes import PASSED_THROUGH
from fuzz.strategies import SCHEMA
from hypothesis import given
from hypothesis import strategies as st

ORDINARY = 150
DOCUMENTS = int(os.environ.get("LLM_SERVING_DOCUMENTS", ORDINARY))
HANDS = hands()
EACH = -(-DOCUMENTS // len(HANDS))
VERSIONS = (NEWEST, "1.37", "1.34", "1.31", "1.28")
ADMITTED = jsonschema.Draft202012Validator(SCHEMA)


def test_each_key_of_the_schema_is_dealt_out_once() -> None:
    assert sorted(key for hand in HANDS for key in hand) == sorted(LEAVES)
    blind = [
        path
        for path, node in LEAVES.items()
        if node.get("items") == {"type": "object"} and path.rsplit(".", 1)[-1] not in PASSED_THROUGH
    ]
    assert not blind, f"say in fuzz/kubernetes.py what stands at {blind}: the schema only says objects"


@pytest.mark.parametrize("hand", HANDS, ids=lambda hand: hand[0])
def test_documents_render_or_are_refused(hand: tuple[str, ...], record_property: Callable[[str, Any], None]) -> None:
    found: Counter[str] = Counter()
    rendered: Counter[str] = Counter()

    @drawing(DOCUMENTS, len(HANDS), ORDINARY)
    @given(drawn=documents(hand), kube=st.one_of(st.just(NEWEST), st.sampled_from(VERSIONS)))
    def check(drawn: tuple[dict[str, Any], dict[str, Any]], kube: str) -> None:
        values, changes = drawn
        ADMITTED.validate(values)
        assert set(hand) <= set(changes)
        manifests = judge(values, kube)
        found["refused" if manifests is None else "rendered"] += 1
        rendered.update(list(changes) if manifests is not None else [])

    check()
    record_property("outcomes", dict(found))
    record_property("keys", {key: (found.total(), rendered[key]) for key in hand})
    assert found.total() >= EACH, "each key of the hand was set in every document"
    if DOCUMENTS > ORDINARY:
        least = min(hand, key=lambda key: rendered[key])
        assert rendered[least] >= EACH // 20, f"{least} was rendered {rendered[least]} times in {EACH}"
