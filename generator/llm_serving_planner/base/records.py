"""Frozen records with slots: as `dataclasses.dataclass(frozen=True, slots=True)`, in a tenth of the time.

An offline plan defines some forty of them, and defining them as dataclasses took as long as everything else together
(docs/decisions/0090-records.md). Nothing is compiled before the first instance, and `dataclasses` is not imported
before somebody asks for what only it has; `dataclasses.replace`, `asdict` and `fields` take records as well.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

_T = TypeVar("_T")
_NONE = object()  # no default


class Field:
    """One field: name, type, default or what makes one; whether `__init__` takes it and equality looks at it."""

    __slots__ = ("compare", "default", "default_factory", "init", "metadata", "name", "type")

    def __init__(
        self, default: Any, default_factory: Callable[[], Any] | None, metadata: Mapping[str, Any], *, init: bool,
        compare: bool,
    ) -> None:  # fmt: skip
        """Name and type come from the class."""
        self.name, self.type = "", Any
        self.default, self.default_factory, self.metadata = default, default_factory, metadata
        self.init, self.compare = init, compare


def field(
    *,
    default: Any = _NONE,
    default_factory: Callable[[], Any] | None = None,
    init: bool = True,
    compare: bool = True,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """A field with more than a default, as `dataclasses.field`."""
    return Field(default, default_factory, metadata or {}, init=init, compare=compare)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(kind: type[_T]) -> type[_T]:
    """The class as a frozen record of its annotated attributes, a base's before its own. Not for generic classes."""
    members = {name: value for name, value in vars(kind).items() if name not in {"__dict__", "__weakref__"}}
    own = []
    for name, annotation in kind.__annotations__.items():
        value = members.pop(name, _NONE)
        each = value if isinstance(value, Field) else Field(value, None, {}, init=True, compare=True)
        each.name, each.type = name, annotation
        own.append(each)
    every = (*getattr(kind, "__record_fields__", ()), *own)
    compared = [each.name for each in every if each.compare]
    members |= {
        "__slots__": tuple(each.name for each in own),
        "__record_fields__": every,
        "__dataclass_fields__": _DataclassFields(),
        "__match_args__": tuple(each.name for each in every if each.init),
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__getstate__": _state,
        "__setstate__": _restore,
    }
    for name, method in (("__repr__", _text), *_comparison(attrgetter(*compared) if compared else type)):
        members.setdefault(name, method)
    meta: Any = type(kind)
    made = meta(kind.__name__, kind.__bases__, members)
    made.__qualname__ = kind.__qualname__
    made.__init__ = _first_init(made, every)
    found: type[_T] = made
    return found


def fields(kind: type) -> tuple[Field, ...]:
    """The fields of a record, in order."""
    found: tuple[Field, ...] = kind.__record_fields__  # type: ignore[attr-defined]
    return found


def replace(one: _T, **changes: Any) -> _T:
    """A copy with other values."""
    for each in fields(type(one)):
        if each.init and each.name not in changes:
            changes[each.name] = getattr(one, each.name)
    return type(one)(**changes)


def asdict(one: Any) -> dict[str, Any]:
    """Plain data: records inside become dictionaries too."""
    return {each.name: _plain(getattr(one, each.name)) for each in fields(type(one))}


def _plain(value: Any) -> Any:
    if hasattr(type(value), "__record_fields__"):
        return asdict(value)
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def _first_init(kind: Any, every: tuple[Field, ...]) -> Callable[..., None]:
    """An `__init__` that writes the real one when the first instance is made."""

    def __init__(self: Any, *values: Any, **named: Any) -> None:  # noqa: N807 - its name in tracebacks
        kind.__init__ = _init(kind, every)
        kind.__init__(self, *values, **named)

    return __init__


def _init(kind: type, every: tuple[Field, ...]) -> Any:
    """`__init__`, compiled: it sets each slot by its descriptor, at half the time of `object.__setattr__`."""
    scope: dict[str, Any] = {"_none": _NONE}
    arguments, lines = ["self"], []
    for each in every:
        name, value = each.name, each.name
        scope[f"_set_{name}"] = getattr(kind, name).__set__
        if each.default_factory is not None:
            scope[f"_make_{name}"] = each.default_factory
            value = f"_make_{name}() if {name} is _none else {name}" if each.init else f"_make_{name}()"
        if each.init:
            default = "_none" if each.default_factory is not None else f"_default_{name}"
            scope[f"_default_{name}"] = each.default
            given = each.default is not _NONE or each.default_factory is not None
            arguments.append(f"{name}={default}" if given else name)
        lines.append(f"    _set_{name}(self, {value})")
    text = f"def __init__({', '.join(arguments)}):\n" + "\n".join([*lines, "    return None"])
    exec(text, scope)  # noqa: S102 - names of fields only
    scope["__init__"].__qualname__ = f"{kind.__qualname__}.__init__"
    return scope["__init__"]


def _comparison(key: Callable[[Any], Any]) -> tuple[tuple[str, Any], ...]:
    def equal(self: Any, other: Any) -> Any:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(key(self))

    return ("__eq__", equal), ("__hash__", hashed)


def _refuse(self: Any, name: str, *value: Any) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot {'assign to' if value else 'delete'} field {name!r} of {type(self).__name__}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in fields(type(self))]


def _restore(self: Any, state: list[Any]) -> None:
    for each, value in zip(fields(type(self)), state, strict=True):
        object.__setattr__(self, each.name, value)


def _text(self: Any) -> str:
    held = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(type(self)))
    return f"{type(self).__qualname__}({held})"


class _DataclassFields:
    """What makes a record a dataclass in the eyes of `dataclasses`, made when it is first looked at."""

    def __get__(self, _: Any, kind: Any) -> dict[str, Any]:
        """Fields as `dataclasses` writes them."""
        import dataclasses

        def written(each: Field) -> Any:
            facts: dict[str, Any] = {"init": each.init, "compare": each.compare, "metadata": each.metadata}
            if each.default_factory is not None:
                facts["default_factory"] = each.default_factory
            elif each.default is not _NONE:
                facts["default"] = each.default
            return dataclasses.field(**facts)

        twin: Any = dataclasses.make_dataclass(kind.__name__, [(e.name, e.type, written(e)) for e in fields(kind)])
        found: dict[str, Any] = twin.__dataclass_fields__
        kind.__dataclass_fields__ = found
        return found
