"""Every error that a user can cause, and what the command line makes of it.

LlmServingError            one line and a hint, no traceback; exit codes are in cli/exits.py
├── InputError             a profile, an option or a file that cannot be used
├── HubError               the model's metadata cannot be had (not found, gated, network)
├── UnsupportedModelError  a field of the model's config that nothing here understands
├── DoesNotFitError        physics or the engine forbid it; carries all reasons
├── ServerError            a running engine cannot be reached, refuses, or stops in the middle of an answer
└── SchemaError            a values document that the schema refuses
"""

from collections.abc import Sequence


class LlmServingError(Exception):
    """Root of the expected errors: `str()` is safe to show, `hint` says the way out."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class InputError(LlmServingError):
    """Something given by the user cannot be used as it is."""


class HubError(LlmServingError):
    """The model's metadata cannot be read."""


class HubUnreachableError(HubError):
    """The hub did not answer: the embedded catalogue may stand in for it."""


class UnsupportedModelError(LlmServingError):
    """A field of the model's configuration has a value that is not understood."""

    def __init__(self, field: str, value: object, *, hint: str | None = None) -> None:
        shown = repr(value) if not isinstance(value, dict | list) or len(value) < 6 else f"a {type(value).__name__}"
        shown = shown if len(shown) <= 100 else f"{shown[:100]}..."  # the value is somebody's, of any length
        super().__init__(f"config.json: {field} is {shown}, which is not supported", hint=hint)
        self.field = field
        self.value = value


class DoesNotFitError(LlmServingError):
    """The model cannot run so on this profile; `reasons` lists every cause, `ways_out` the remedies."""

    def __init__(self, message: str, reasons: Sequence[str], ways_out: Sequence[str]) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons)
        self.ways_out = tuple(ways_out)


class ServerError(LlmServingError):
    """A running engine cannot be reached, refuses, or stops in the middle of its answer."""


class SchemaError(LlmServingError):
    """A values document breaks the schema; `problems` are (path, message) pairs."""

    def __init__(self, where: str, problems: Sequence[tuple[str, str]]) -> None:
        lines = "; ".join(f"{path or '/'}: {message}" for path, message in problems)
        super().__init__(f"{where}: {lines}")
        self.problems = tuple(problems)
