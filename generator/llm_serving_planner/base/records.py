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
        "__reduce__": _reduced,
    }
    for name, method in (("__repr__", _text), *_comparison(attrgetter(*compared) if compared else type)):
        members.setdefault(name, method)
    meta: Any = type(kind)
    made: Any = meta(kind.__name__, kind.__bases__, members)
    made.__qualname__ = kind.__qualname__
    made.__new__ = _first_new(made, every, members["__slots__"])
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


def _first_new(kind: Any, every: tuple[Field, ...], own: tuple[str, ...]) -> Callable[..., Any]:
    """A `__new__` that writes the real one when the first instance is made."""

    def __new__(_: Any, *values: Any, **named: Any) -> Any:  # noqa: N807 - its name in tracebacks
        kind.__new__ = _new(kind, every, own)
        return kind(*values, **named)

    return __new__


def _new(kind: Any, every: tuple[Field, ...], own: tuple[str, ...]) -> Any:
    """`__new__`, compiled. It fills an open class of the same slots, which then becomes the frozen one.

    Four times as fast as `object.__setattr__` for each field; a plan of the grid makes some twenty records.
    """
    meta: Any = type(kind)
    twin = meta(kind.__name__, kind.__bases__, {"__slots__": own, "__setattr__": object.__setattr__})
    scope: dict[str, Any] = {"_none": _NONE, "_empty": object.__new__, "_twin": twin, "_kind": kind}
    arguments, lines = ["_"], []
    for each in every:
        name, value = each.name, each.name
        if each.default_factory is not None:
            scope[f"_make_{name}"] = each.default_factory
            value = f"_make_{name}() if {name} is _none else {name}" if each.init else f"_make_{name}()"
        if each.init:
            default = "_none" if each.default_factory is not None else f"_default_{name}"
            scope[f"_default_{name}"] = each.default
            given = each.default is not _NONE or each.default_factory is not None
            arguments.append(f"{name}={default}" if given else name)
        lines.append(f"    _made.{name} = {value}")
    body = "\n".join(["    _made = _empty(_twin)", *lines, "    _made.__class__ = _kind", "    return _made"])
    exec(f"def __new__({', '.join(arguments)}):\n{body}", scope)  # noqa: S102 - names of fields only
    scope["__new__"].__qualname__ = kind.__qualname__
    return scope["__new__"]


def _comparison(key: Callable[[Any], Any]) -> tuple[tuple[str, Any], ...]:
    def equal(self: Any, other: Any) -> Any:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(key(self))

    return ("__eq__", equal), ("__hash__", hashed)


def _refuse(self: Any, name: str, *value: Any) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot {'assign to' if value else 'delete'} field {name!r} of {type(self).__name__}")


def _reduced(self: Any) -> Any:
    return _rebuilt, (type(self), [getattr(self, each.name) for each in fields(type(self))])


def _rebuilt(kind: type, values: list[Any]) -> Any:
    made: Any = object.__new__(kind)
    for each, value in zip(fields(kind), values, strict=True):
        object.__setattr__(made, each.name, value)
    return made


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
