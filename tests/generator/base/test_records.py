"""Records answer as frozen dataclasses with slots do."""

import copy
import dataclasses
import pickle

import pytest
from llm_serving_planner.base.records import asdict, field, fields, record, replace


@record
class Part:
    """Part of a whole."""

    size: int
    label: str = "small"


@record
class Whole:
    """With each kind of field."""

    name: str
    parts: tuple[Part, ...] = ()
    seen: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict, init=False, compare=False)
    told: str | None = field(default=None, metadata={"why": "a test"})

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)


@record
class Larger(Whole):
    """A base's fields come first."""

    extra: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Twin:
    """What Whole would be as a dataclass."""

    name: str
    parts: tuple[Part, ...] = ()
    seen: dict[str, int] = dataclasses.field(default_factory=dict)
    kept: dict[str, int] = dataclasses.field(default_factory=dict, init=False, compare=False)
    told: str | None = dataclasses.field(default=None, metadata={"why": "a test"})


ONE = Whole("a", (Part(1), Part(2, "large")), told="b")


def test_values_and_defaults() -> None:
    assert (ONE.name, ONE.seen, ONE.kept, ONE.told, ONE.size) == ("a", {}, {}, "b", 3)
    assert Whole("a").seen is not Whole("a").seen
    assert Larger("a", extra=4) == Larger(name="a", extra=4)
    assert Larger("a").name == "a"


@pytest.mark.parametrize(("values", "named"), [((), {}), (("a", (), {}, None, 5), {}), (("a",), {"kept": {}})])
def test_what_a_dataclass_does_not_take_is_not_taken(values: tuple[object, ...], named: dict[str, object]) -> None:
    for kind in (Whole, Twin):
        with pytest.raises(TypeError):
            kind(*values, **named)  # type: ignore[arg-type]


def test_nothing_can_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        ONE.name = "b"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        del ONE.name
    with pytest.raises(dataclasses.FrozenInstanceError):
        ONE.other = 1  # type: ignore[attr-defined]
    assert not hasattr(ONE, "__dict__")


def test_equality_is_by_value_and_kind() -> None:
    same = replace(ONE)
    same.kept["x"] = 1
    assert same == ONE
    assert replace(ONE, name="c") != ONE
    assert Part(1) != (1, "small")  # type: ignore[comparison-overlap]
    assert hash(Part(1)) == hash(Part(1, "small"))
    assert {Part(1), Part(1), Part(2)} == {Part(1), Part(2)}
    assert repr(Part(1)) == "Part(size=1, label='small')"
    with pytest.raises(TypeError, match="unhashable"):
        hash(ONE)


def test_it_is_a_dataclass_for_those_who_ask() -> None:
    assert dataclasses.is_dataclass(ONE)
    facts = [("name", "init", "compare", "default", "metadata")] * 2
    ours, theirs = (
        [tuple(getattr(each, fact) for fact in facts[0]) for each in dataclasses.fields(kind)] for kind in (Whole, Twin)
    )
    assert ours == theirs
    assert dataclasses.asdict(ONE) == asdict(ONE) == dataclasses.asdict(Twin("a", ONE.parts, told="b"))
    assert dataclasses.replace(Part(1), size=3) == replace(Part(1), size=3) == Part(3)
    assert [each.name for each in fields(Larger)] == ["name", "parts", "seen", "kept", "told", "extra"]


def test_copies_are_equal() -> None:
    assert copy.copy(ONE) == copy.deepcopy(ONE) == pickle.loads(pickle.dumps(ONE)) == ONE


def test_a_pattern_takes_its_fields() -> None:
    match Part(1):
        case Part(size, label):
            assert (size, label) == (1, "small")
