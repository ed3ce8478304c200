"""What no model and no GPU could make right: options that are malformed on their own.

The table of options says what each may be; what it cannot say, such as the form of a word, is in `features.usage`.
"""

from collections.abc import Callable
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.printable import harmless
from llm_serving_planner.engines.registry import engine_of
from llm_serving_planner.planner.features import usage
from llm_serving_planner.planner.options import PINS, USE, Declaration, Options, flag, plain, table

_LONGEST_WORD = 4096  # characters; PATH_MAX of Linux is the longest that anything here is held to

_Check = Callable[[Options, Declaration, Any], None]


def check_options(options: Options) -> None:
    """Refuse what is malformed on its own.

    Raises:
        InputError: one line for the first such option.
    """
    if options == plain(type(options)):
        return
    given = [
        (row, value)
        for row in table(type(options))
        if (value := getattr(options, row.name)) != row.default and value is not None
    ]
    if given:
        for row, value in given:
            _plain_words(row, value)
        _walk(options, given, PINS, _choice, _bounds, _value_needs)
        _walk(options, given, USE, _lacks, _choice, _needs, _bounds)
        usage.check_words(options)
        _refuses(options)
        _walk(options, given, PINS, _needs, _refused)


def _walk(options: Options, given: list[tuple[Declaration, Any]], group: str, *checks: _Check) -> None:
    for check in checks:
        for row, value in given:
            if row.group == group:
                check(options, row, value)


def _plain_words(row: Declaration, value: Any) -> None:
    """A word that moves the cursor or begins a line of its own would do so in the values file too."""
    for each in value if row.repeatable else (value,):
        if isinstance(each, str) and (harmless(each) != each or set(each) & set("\t\n")):
            raise InputError(f"{row.flag} is {each!r}: must hold no control characters")
        if isinstance(each, str) and len(each) > _LONGEST_WORD:
            raise InputError(f"{row.flag} has {len(each):,} characters: must have at most {_LONGEST_WORD:,}")


def _choice(_: Options, row: Declaration, value: Any) -> None:
    for each in value if row.repeatable else (value,):
        if row.choices and each not in row.choices:
            raise InputError(f"{row.flag} is {each!r}: one of {', '.join(row.choices)} is expected")


def _bounds(_: Options, row: Declaration, value: Any) -> None:
    low = row.above is None or value > row.above
    if not (low and (row.minimum is None or value >= row.minimum) and (row.maximum is None or value <= row.maximum)):
        raise InputError(f"{row.flag} is {value}: {row.expected}")


def _value_needs(options: Options, row: Declaration, value: Any) -> None:
    if value in row.value_needs:
        other, what = row.value_needs[value]
        if not getattr(options, other):
            raise InputError(f"{row.flag} {value} needs {flag(other)}: {what}")


def _needs(options: Options, row: Declaration, _: Any) -> None:
    if row.needs is not None and not getattr(options, row.needs[0]):
        raise InputError(row.needs[1])


def _lacks(options: Options, row: Declaration, value: Any) -> None:
    engine = engine_of(options.engine)
    way = engine.in_place_of(row.name)
    if value and way is not None:
        raise InputError(f"{row.flag} is vLLM's, not {engine.label}'s", hint=way or "use --engine vllm")


def _refuses(options: Options) -> None:
    for name, why in engine_of(options.engine).refuses.items():
        if getattr(options, name) not in {None, False}:
            raise InputError(why)


def _refused(_: Options, row: Declaration, value: Any) -> None:
    if isinstance(value, str) and value in row.refused:
        raise InputError(row.refused[value])
