"""What a service has to bear and what its users expect: from a name, a file or single options, for every command."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.tables import load_data

PERCENTILE = 90.0  # of the targets, where none is given
DEFAULT = "chat"
CONCURRENCY = 8  # where nobody says how many: an assumption
BATCH_CONCURRENCY = 64  # of work for which nobody waits
# Pace at which a user's answer is counted where no target says it: 20 tokens a second, faster than people read.
_READING_SECONDS = 0.05
_LONGEST = 3.0  # standard deviations of the logarithm up to the longest request that must be possible
LARGEST = {"prompt_tokens": 10_000_000, "answer_tokens": 1_000_000, "users": 10_000_000, "concurrency": 1_000_000}


@dataclass(frozen=True, slots=True)
class Targets:
    """Seconds that `percentile` percent of the requests must not exceed; None for no target."""

    ttft: float | None = None
    itl: float | None = None
    e2e: float | None = None
    percentile: float = PERCENTILE

    @property
    def given(self) -> bool:
        """Whether there is any."""
        return any(value is not None for value in (self.ttft, self.itl, self.e2e))


@dataclass(frozen=True, slots=True)
class Workload:
    """A service's requests.

    Attributes:
        name: of the kind of service, or "given".
        prompt_tokens, answer_tokens: means.
        prompt_spread, answer_spread: coefficients of variation.
        shared_prefix: share of a prompt that the prefix cache holds already.
        think_seconds: between an answer and the same user's next question.
        users, concurrency, request_rate: how much comes, exactly one of them.
        targets: what is expected.
        assumed: names of what nobody gave.
        source: where the lengths come from.
        words: the options that give it again.
    """

    name: str
    prompt_tokens: int
    answer_tokens: int
    prompt_spread: float = 0.0
    answer_spread: float = 0.0
    shared_prefix: float = 0.0
    think_seconds: float = 0.0
    users: int | None = None
    concurrency: int | None = None
    request_rate: float | None = None
    targets: Targets = Targets()
    assumed: tuple[str, ...] = ()
    source: str = ""
    words: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of the mean request at its end."""
        return self.prompt_tokens + self.answer_tokens

    @property
    def longest(self) -> int:
        """Tokens of the longest request that must be possible: the mean, and three standard deviations of spread."""

        def high(mean: float, spread: float) -> float:
            variance = math.log(1 + spread * spread)
            return mean * math.exp(_LONGEST * math.sqrt(variance) - variance / 2) if spread else mean

        return math.ceil(high(self.prompt_tokens, self.prompt_spread) + high(self.answer_tokens, self.answer_spread))

    @property
    def rate(self) -> float | None:
        """Requests per second that come whatever the engine does; None for a fixed number in flight.

        Users ask again after they have read: users / (think + answer at the pace that is expected).
        """
        if self.request_rate is not None:
            return self.request_rate
        if self.users is None:
            return None
        pace = self.targets.itl or _READING_SECONDS
        return self.users / (self.think_seconds + (self.targets.ttft or 1.0) + self.answer_tokens * pace)

    def in_words(self) -> str:
        """The workload in one line."""
        amount = (
            f"{self.users:,} users" if self.users else f"{self.request_rate:g} requests/s" if self.request_rate
            else f"{self.concurrency} at once"
        )  # fmt: skip
        told = [f"{self.name}: {amount}, {self.prompt_tokens:,} prompt + {self.answer_tokens:,} answer tokens"]
        if self.users and self.rate:
            told.append(f"{self.rate:.3g} requests/s")
        if self.shared_prefix:
            told.append(f"{100 * self.shared_prefix:.0f} % of a prompt shared")
        return "; ".join(told)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for values files and JSON."""
        targets = {
            name: value for name, value in (("ttftSeconds", self.targets.ttft), ("itlSeconds", self.targets.itl),
                                            ("e2eSeconds", self.targets.e2e)) if value is not None
        }  # fmt: skip
        if targets:
            targets["percentile"] = self.targets.percentile
        amount: dict[str, Any] = {
            "users": self.users,
            "concurrency": self.concurrency,
            "requestRate": self.request_rate,
        }
        return {
            "name": self.name,
            "promptTokens": self.prompt_tokens,
            "answerTokens": self.answer_tokens,
            "promptSpread": self.prompt_spread,
            "answerSpread": self.answer_spread,
            "sharedPrefix": self.shared_prefix,
            "thinkSeconds": self.think_seconds,
            **{key: value for key, value in amount.items() if value is not None},
            "targets": targets,
            "assumed": list(self.assumed),
            "source": self.source,
        }


def names() -> list[str]:
    """Kinds of service that are known by name."""
    return list(load_data("workloads.json")["workloads"])


def workload(kind: str | None = None, **given: Any) -> Workload:
    """The workload of a name or a file, with single figures put over it.

    Args:
        kind: one of `names`, or a YAML file with the same keys; None where only single figures are given.
        given: `prompt_tokens`, `answer_tokens`, `users`, `concurrency`, `request_rate`, `ttft`, `itl`, `e2e` (seconds)
            and `percentile`; None for what is not given.

    Raises:
        InputError: an unknown name or key, a figure that is none, two figures that contradict each other.
    """
    given = {name: value for name, value in given.items() if value is not None}
    base, name = _base(kind)
    from_file = kind is not None and kind not in names()
    for key, value in {**(base if from_file else {}), **given}.items():
        _check(key, value, f"{kind}: {key}" if from_file and key not in given else _flag(key))
    amounts = [key for key in ("users", "concurrency", "request_rate") if key in given]
    if len(amounts) > 1:
        flags = " and ".join(map(_flag, amounts))
        raise InputError(f"{flags} say the same thing twice: leave all but one away")
    in_file = [key for key in ("users", "concurrency", "request_rate") if base.get(key) is not None]
    if len(in_file) > 1:
        raise InputError(f"{kind}: {' and '.join(in_file)} say the same thing twice: leave all but one away")
    if amounts:
        for key in in_file:
            del base[key]
    merged: dict[str, Any] = {**base, **given}
    if not any(merged.get(key) for key in ("users", "concurrency", "request_rate")):
        merged["concurrency"] = BATCH_CONCURRENCY if name == "batch" else CONCURRENCY
    targets = Targets(merged.get("ttft"), merged.get("itl"), merged.get("e2e"), merged.get("percentile", PERCENTILE))
    if "percentile" in given and not targets.given:
        raise InputError("--percentile belongs to a target: give --ttft, --itl or --e2e")
    if targets.e2e is not None and targets.ttft is not None and targets.ttft > targets.e2e:
        raise InputError(
            f"--ttft is {targets.ttft:g} s and --e2e {targets.e2e:g} s: the first token cannot be later than the last"
        )
    for key in ("prompt", "answer"):
        if f"{key}_tokens" in given and not from_file:
            merged.setdefault(f"{key}_spread", 0.0)
    keys = {field.name for field in fields(Workload)} - {"name", "targets", "assumed", "source", "words"}
    known = {*given, *(base if from_file else ())}
    amount = [key for key in ("users", "concurrency", "request_rate") if merged.get(key)]
    stated = [*amount, "prompt_tokens", "answer_tokens", "shared_prefix"]
    stated += ["think_seconds"] if "users" in amount else []
    assumed = tuple(key for key in stated if key not in known and merged.get(key))
    return Workload(
        name=name, targets=targets, assumed=assumed, source=str(base.get("source", "")), words=_words(kind, given),
        **{key: merged[key] for key in keys if merged.get(key) is not None},
    )  # fmt: skip


def _base(kind: str | None) -> tuple[dict[str, Any], str]:
    known: Mapping[str, Any] = load_data("workloads.json")["workloads"]
    if kind is None:
        return dict(known[DEFAULT]), "given"
    if kind in known:
        return dict(known[kind]), kind
    if not kind.endswith((".yaml", ".yml", ".json")) and not Path(kind).exists():
        raise InputError(f"--workload is {kind!r}: one of {', '.join(known)}, or a YAML file, is expected")
    from llm_serving_planner.base.documents import parse_documents
    from llm_serving_planner.base.files import read_text

    documents = parse_documents(read_text(Path(kind)), kind)
    data = documents[0] if len(documents) == 1 else None
    if not isinstance(data, dict):
        raise InputError(f"{kind}: one mapping of a workload's keys is expected")
    allowed = {field.name for field in fields(Workload)} - {"targets", "assumed", "words"} | {
        field.name for field in fields(Targets)
    }
    unknown = sorted(str(key) for key in data if key not in allowed)
    if unknown:
        raise InputError(
            f"{kind}: {', '.join(unknown)}: no key of a workload", hint=f"known are {', '.join(sorted(allowed))}"
        )
    missing = [key for key in ("prompt_tokens", "answer_tokens") if key not in data]
    if missing:
        raise InputError(f"{kind}: {' and '.join(missing)} must be there")
    return dict(data), str(data.get("name", Path(kind).stem))


def _words(kind: str | None, given: Mapping[str, Any]) -> tuple[str, ...]:
    found = ["--workload", kind] if kind is not None else []
    for key, value in given.items():
        found += [_flag(key), f"{value:g}" if isinstance(value, float) else str(value)]
    return tuple(found)


def kept(load: Workload) -> tuple[str, ...]:
    """The options of a workload, for the command that gives a plan again."""
    return load.words


def _check(key: str, value: Any, where: str) -> None:
    if key in {"name", "source"}:
        if not isinstance(value, str):
            raise InputError(f"{where} is {value!r}: text is expected")
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    whole = key in {"prompt_tokens", "answer_tokens", "users", "concurrency"}
    if not number or (whole and value != int(value)):
        raise InputError(f"{where} is {value!r}: a {'whole number' if whole else 'number'} is expected")
    if key in LARGEST and value > LARGEST[key]:
        raise InputError(f"{where} is {value}: at most {LARGEST[key]:,} is expected")
    if key == "percentile" and not 0 < value < 100:
        raise InputError(f"{where} is {value:g}: above 0 and below 100 is expected")
    if key == "shared_prefix" and not 0 <= value < 1:
        raise InputError(f"{where} is {value:g}: 0 or more and below 1 is expected")
    if key in {"prompt_spread", "answer_spread", "think_seconds"} and not 0 <= value <= 86400:
        raise InputError(f"{where} is {value:g}: 0 or more is expected")
    if key in {"prompt_spread", "answer_spread"} and value > 5:
        raise InputError(f"{where} is {value:g}: a coefficient of variation of at most 5 is expected")
    positive = whole or key in {"request_rate", "ttft", "itl", "e2e"}
    if positive and not value > 0:
        raise InputError(f"{where} is {value:g}: {'a positive whole number' if whole else 'above 0'} is expected")


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


# What a form or a command line may say, and how its text is read.
FIELDS: Mapping[str, type] = {
    "workload": str, "prompt-tokens": int, "answer-tokens": int, "users": int, "concurrency": int,
    "request-rate": float, "ttft": float, "itl": float, "e2e": float, "percentile": float,
}  # fmt: skip


def workload_of_texts(texts: Mapping[str, str]) -> Workload | None:
    """The workload of a form's fields, texts by the names of `FIELDS`; None where none of them is there.

    Raises:
        InputError: a text that is no such figure, and whatever `workload` refuses.
    """
    given: dict[str, Any] = {}
    for name, text in texts.items():
        if name not in FIELDS or not text:
            continue
        kind = FIELDS[name]
        try:
            value = text if kind is str else int(text) if kind is int else seconds(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise InputError(f"--{name} is {text!r}: {what} is expected") from None
        given[name.replace("-", "_")] = value
    kind_of_service = given.pop("workload", None)
    if kind_of_service is not None and kind_of_service not in names():
        raise InputError(f"--workload is {kind_of_service!r}: one of {', '.join(names())} is expected here")
    return workload(kind_of_service, **given) if given or kind_of_service else None


def seconds(text: str) -> float:
    """A duration as it is typed: `1`, `0.5s`, `30ms`.

    Raises:
        ValueError: it is no number.
    """
    for ending, factor in (("ms", 1e-3), ("s", 1.0)):
        if text.endswith(ending):
            return float(text.removesuffix(ending)) * factor
    return float(text)
