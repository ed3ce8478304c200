"""What a client gives back, whatever the protocol: pieces of text as they come, and what they add up to."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


class Message(NamedTuple):
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to continue the text; None leaves the server's default."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of the server. `reasoning` is text that a reasoning model writes before its answer."""

    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: dict[str, int] | None = None


class Client(Protocol):
    """A protocol of an engine."""

    def models(self) -> list[str]:
        """Names that the server answers to; empty where the protocol has none."""

    def answer(self, messages: Sequence[Message], sampling: Sampling, *, stream: bool = True) -> Iterable[Piece]:
        """Continue the conversation.

        Raises:
            ServerError: the server cannot be reached, refuses, or stops in the middle.
        """


@dataclass(slots=True)
class Answer:
    """Adds up pieces and the times (seconds) at which they came, counted from the creation of this object."""

    model: str = ""
    clock: Callable[[], float] = time.monotonic
    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    arrivals: list[float] = field(default_factory=list)
    last: float = 0.0
    started: float = field(init=False)
    ended: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.ended = self.clock()

    def take(self, piece: Piece) -> None:
        """Add a piece."""
        self.ended = self.clock()
        if piece.text or piece.reasoning:
            self.arrivals.append(self.ended - self.started)
        if piece.text or piece.reasoning or piece.finish_reason:  # a last token may have no text; usage comes after it
            self.last = self.ended - self.started
        self.text += piece.text
        self.reasoning += piece.reasoning
        self.finish_reason = piece.finish_reason or self.finish_reason
        self.usage = piece.usage or self.usage

    @property
    def tokens(self) -> int:
        """Tokens of the answer: the server's count, else the number of pieces (engines send about one per token)."""
        return (self.usage or {}).get("completion_tokens", len(self.arrivals))

    @property
    def ttft_seconds(self) -> float | None:
        """Time to the first token; in an answer that came as a whole, the time of all of it."""
        return self.arrivals[0] if self.arrivals else None

    @property
    def inter_token_seconds(self) -> float | None:
        """Median time between two pieces."""
        gaps = [later - earlier for earlier, later in zip(self.arrivals, self.arrivals[1:], strict=False)]
        return statistics.median(gaps) if gaps else None

    @property
    def tokens_per_second(self) -> float | None:
        """Rate after the first token; over the whole time where all came at once."""
        if not self.arrivals:
            return None
        seconds, tokens = self.last - self.arrivals[0], self.tokens - 1
        if seconds == 0:
            seconds, tokens = self.last, self.tokens
        return tokens / seconds if seconds > 0 and tokens > 0 else None

    def line(self) -> str:
        """The figures in one line."""
        parts = []
        if self.ttft_seconds is not None:
            parts.append(f"first token {self.ttft_seconds * 1000:.0f} ms")
        if self.inter_token_seconds is not None:
            parts.append(f"between tokens {self.inter_token_seconds * 1000:.1f} ms (median)")
        if self.tokens_per_second is not None:
            parts.append(f"{self.tokens_per_second:.1f} tokens/s")
        parts.append(f"{self.tokens} tokens" if self.tokens != 1 else "1 token")
        parts.append(f"finish: {self.finish_reason or 'not said'}")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The record of `--format json`; seconds, rounded to microseconds."""

        def rounded(value: float | None) -> float | None:
            return None if value is None else round(value, 6)

        return {
            "model": self.model,
            "text": self.text,
            "reasoning": self.reasoning or None,
            "finish_reason": self.finish_reason,
            "tokens": self.tokens,
            "ttft_seconds": rounded(self.ttft_seconds),
            "inter_token_seconds": rounded(self.inter_token_seconds),
            "tokens_per_second": rounded(self.tokens_per_second),
            "total_seconds": rounded(self.ended - self.started),
            "usage": self.usage,
        }


def transcript(messages: Sequence[Message]) -> str:
    """A conversation as plain text, for models and protocols without chat template; one message stays as it is."""
    if len(messages) == 1:
        return messages[0].text
    names = {"system": "", "user": "User: ", "assistant": "Assistant: "}
    lines = [names[message.role] + message.text for message in messages]
    return "\n".join([*lines, "Assistant:"])


TRANSCRIPT_STOP = "\nUser:"
"""Where a model that continues a transcript would go on with the user's part."""
