# Made by `make generate` from generator/supervisor/test_tgis.py; change that file.
"""`helm test` for TGIS: model info, tokens, a text, a stream, over gRPC.

It runs in the engine's own image, which has grpc and protobuf; nothing else is needed beside the standard library.

Environment: TARGET (HOST:PORT), MODEL, CA_FILE (the engine speaks TLS with a certificate of that authority),
DEADLINE_SECONDS (how long the engine may take to become ready).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read on import; its own log would stand between the lines here

import grpc
from fmaas import ENUMS, SERVICE, message_classes

from bounded import clean, end_on_signals, leave, within

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER_SECONDS = 120.0  # for one answer: a first one may compile kernels
ANSWER_BYTES = 1 << 24
PROBE_SECONDS = 10.0  # the same while nobody knows whether the server is there
PAUSE_SECONDS = 1.0  # between two probes
NOT_READY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
UNFINISHED = tuple(ENUMS["StopReason"].index(name) for name in ("NOT_FINISHED", "CANCELLED", "ERROR"))
# No proxy stands between pods, and a server that comes late is found within a second.
OPTIONS = (
    ("grpc.max_receive_message_length", ANSWER_BYTES),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class FailedError(Exception):
    """The server is there, and its answer is wrong; the text is for people."""


class Client:
    """TGIS at `target`, HOST:PORT; with `authority`, the path of a certificate, over TLS.

    Args:
        target: HOST:PORT.
        model: sent as model_id.
        authority: path of the certificate authority; empty without TLS.
    """

    def __init__(self, target: str, model: str, authority: str) -> None:
        self.target, self.model, self.messages = target, model, message_classes()
        if authority:
            credentials = grpc.ssl_channel_credentials(Path(authority).read_bytes())
            self.channel = grpc.secure_channel(target, credentials, OPTIONS)
        else:
            self.channel = grpc.insecure_channel(target, OPTIONS)

    def unary(self, method: str, kinds: str, fields: dict[str, Any], seconds: float = ANSWER_SECONDS) -> Any:
        """The answer to one request; `kinds` is the name of its message without Request. Raises grpc.RpcError."""
        call = self._method(self.channel.unary_unary, method, f"{kinds}Request", f"{kinds}Response")
        return call(self.messages[f"{kinds}Request"](model_id=self.model, **fields), timeout=seconds)

    def stream(self, fields: dict[str, Any]) -> list[Any]:
        """Every message of a streamed text. Raises grpc.RpcError."""
        request = "SingleGenerationRequest"
        call = self._method(self.channel.unary_stream, "GenerateStream", request, "GenerationResponse")
        return list(call(self.messages[request](model_id=self.model, **fields), timeout=ANSWER_SECONDS))

    def _method(self, kind: Callable[..., Any], method: str, request: str, response: str) -> Any:
        return kind(
            f"/{SERVICE}/{method}",
            request_serializer=self.messages[request].SerializeToString,
            response_deserializer=self.messages[response].FromString,
        )

    def wait_until_ready(self, deadline_seconds: float) -> None:
        """Ask for the model's limits until they come, at most so long."""
        deadline, last = time.monotonic() + deadline_seconds, "no answer"
        while time.monotonic() < deadline:
            try:
                left = max(0.1, deadline - time.monotonic())
                info = self.unary("ModelInfo", "ModelInfo", {}, min(PROBE_SECONDS, left))
            except grpc.RpcError as error:
                if error.code() not in NOT_READY:
                    raise
                last = described(error)
            else:
                say(f"model info: max_sequence_length {info.max_sequence_length} max_new_tokens {info.max_new_tokens}")
                return
            time.sleep(max(0.0, min(PAUSE_SECONDS, deadline - time.monotonic())))
        raise FailedError(f"{self.target} is not ready before the deadline: {last}")

    def check_tokens(self) -> None:
        """The tokenizer counts."""
        answer = self.unary("Tokenize", "BatchedTokenize", {"requests": [{"text": "Hello world"}]})
        count = answer.responses[0].token_count
        if count < 1:
            raise FailedError("Hello world has no tokens")
        say(f"tokens of 'Hello world': {count}")

    def check_text(self) -> None:
        """A prompt gives text, at once and as a stream that ends with a reason."""
        prompt, limits = {"text": "Hello"}, {"stopping": {"max_new_tokens": 8}}
        answer = self.unary("Generate", "BatchedGeneration", {"requests": [prompt], "params": limits})
        say(f"text: {clean(answer.responses[0].text, 200)!r}")
        pieces = self.stream({"request": prompt, "params": limits})
        reason = pieces[-1].stop_reason if pieces else 0
        if reason in UNFINISHED:
            raise FailedError(f"the stream of {len(pieces)} messages ends with stop reason {reason}")
        text = "".join(piece.text for piece in pieces)
        say(f"stream: {len(pieces)} messages, {clean(text, 200)!r} stop reason {reason}")


def described(error: Any) -> str:
    """A status of gRPC as one line: https://grpc.io/docs/guides/status-codes/."""
    said = clean(error.details() or "")
    return f"gRPC status {error.code().value[0]}: {said or 'no reason given'}"


def checks() -> None:
    """Run every check; raises FailedError or grpc.RpcError."""
    client = Client(os.environ["TARGET"], os.environ.get("MODEL", ""), os.environ.get("CA_FILE", ""))
    client.wait_until_ready(float(os.environ.get("DEADLINE_SECONDS", "60")))
    client.check_tokens()
    client.check_text()


def main() -> int:
    """Run every check within what all answers together may take; the exit code."""
    end_on_signals()
    try:
        within(checks, float(os.environ.get("DEADLINE_SECONDS", "60")) + 4 * ANSWER_SECONDS)
    except FailedError as error:
        say(f"FAILED: {error}")
        return 1
    except grpc.RpcError as error:
        say(f"FAILED: {described(error)}")
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one line
        say(f"FAILED: {type(error).__name__}: {error}")
        return 1
    say("OK")
    return 0


def say(text: str) -> None:
    """One line in the pod's log."""
    print(clean(text), flush=True)


if __name__ == "__main__":
    leave(main())
