"""The gRPC protocol of TGIS (and of vLLM behind vllm_tgis_adapter): generate, stream, tokenize, model info.

grpcio is an optional dependency, since of three engines one needs it. TGIS knows no chat: a conversation is sent as a
transcript. Behaviour read in router/src/grpc_server.rs and batcher.rs of opendatahub-io/text-generation-inference at
1db8cf0 (2026-11-25): a stream opens with the number of input tokens and no text, and its last message says why it ends.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from llm_serving_planner.base.errors import InputError, ServerError
from llm_serving_planner.clients.answer import Message, Piece, Sampling, transcript
from llm_serving_planner.clients.fmaas import ENUMS, SERVICE, message_classes
from llm_serving_planner.clients.http import split_url

_MOST_ANSWER = 16 * 1024 * 1024  # bytes: an answer of a million tokens
_STOP = ENUMS["StopReason"]
_FAILED = {"CANCELLED", "ERROR"}
_LOG = "look at the engine's log"
# Codes: https://grpc.io/docs/guides/status-codes/ (2026-11-25)
_HINTS = {
    "UNAUTHENTICATED": "name the variable that holds the key with --api-key-env",
    "PERMISSION_DENIED": "the key is known but not allowed to do this",
    "INVALID_ARGUMENT": "shorten the prompt, or change what the server objects to",
    "RESOURCE_EXHAUSTED": "the server is busy: try again later, or add replicas",
    "UNIMPLEMENTED": "this is no TGIS server: vLLM and TGI need --protocol openai",
}
_HTTP1 = ("speaks HTTP/1, not gRPC", "vLLM and TGI need --protocol openai; TGIS's own port is 8033")
# What grpcio 1.85 says when it cannot agree with the other side (seen on 2026-11-25)
_NOT_GRPC = (
    ("http1.x", *_HTTP1),
    ("Failed parsing HTTP/2", *_HTTP1),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted",
     "name the authority's file in GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
    ("handshake failed", "no TLS", "is it http:// instead?"),
)  # fmt: skip


def _import() -> tuple[Any, dict[str, Any]]:
    """The grpc module and the messages.

    Raises:
        InputError: the extra is not installed.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own log would stand between the lines of an answer
    try:
        import grpc

        return grpc, message_classes()
    except ImportError as error:
        raise InputError(
            f"--protocol tgis needs {error.name or 'grpcio'}, which is not installed",
            hint="pip install 'llm-serving-planner[tgis]'",
        ) from error


class Tgis:
    """A TGIS server.

    Args:
        base_url: address; https:// means TLS.
        model: sent as model_id, which TGIS itself ignores.
        api_key: sent as bearer token, for gateways before the server.
        timeout_seconds: longest silence of the server.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        timeout_seconds: float = 120.0,
    ) -> None:
        parts = split_url(base_url)
        self._grpc, self._messages = _import()
        self._secure = parts.scheme == "https"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.target = f"{host}:{parts.port or (443 if self._secure else 80)}"
        self.model = model or ""
        self.timeout_seconds = timeout_seconds
        self._metadata = (("authorization", f"Bearer {api_key}"),) if api_key else ()

    def models(self) -> list[str]:
        """TGIS serves one model and does not name it."""
        return []

    def info(self) -> dict[str, int]:
        """Limits of the model in tokens: max_sequence_length, max_new_tokens."""
        answer = self._unary("ModelInfo", "ModelInfoRequest", "ModelInfoResponse", {"model_id": self.model})
        return {"max_sequence_length": answer.max_sequence_length, "max_new_tokens": answer.max_new_tokens}

    def answer(self, messages: Sequence[Message], sampling: Sampling, *, stream: bool = True) -> Iterable[Piece]:
        """Continue the conversation as plain text, piece by piece.

        Raises:
            ServerError: the server cannot be reached, refuses, or stops in the middle.
        """
        fields = {"model_id": self.model, "params": _parameters(sampling)}
        prompt = {"text": transcript(messages)}
        if stream:
            return self._stream(fields | {"request": prompt})
        names = ("Generate", "BatchedGenerationRequest", "BatchedGenerationResponse")
        responses = self._unary(*names, fields | {"requests": [prompt]}).responses
        if len(responses) != 1:
            raise ServerError(f"{self.target}: {len(responses)} answers came to one question", hint=_LOG)
        return [self._piece(responses[0], responses[0].input_token_count)]

    def _unary(self, method: str, request: str, response: str, fields: dict[str, Any]) -> Any:
        with self._channel() as channel, self._explained():
            call = channel.unary_unary(
                f"/{SERVICE}/{method}",
                request_serializer=self._messages[request].SerializeToString,
                response_deserializer=self._messages[response].FromString,
            )
            return call(self._messages[request](**fields), timeout=self.timeout_seconds, metadata=self._metadata)

    def _stream(self, fields: dict[str, Any]) -> Iterator[Piece]:
        with self._channel() as channel, self._explained():
            call = channel.unary_stream(
                f"/{SERVICE}/GenerateStream",
                request_serializer=self._messages["SingleGenerationRequest"].SerializeToString,
                response_deserializer=self._messages["GenerationResponse"].FromString,
            )(self._messages["SingleGenerationRequest"](**fields), metadata=self._metadata)
            input_tokens, finished = 0, False
            for response in self._patiently(call):
                input_tokens = response.input_token_count or input_tokens
                piece = self._piece(response, input_tokens)
                finished = finished or piece.finish_reason is not None
                yield piece
            if not finished:
                raise ServerError(f"{self.target}: the stream was cut before its end", hint=_LOG)

    def _patiently(self, call: Any) -> Iterator[Any]:
        """Messages of a stream, cancelled after a silence; gRPC's own deadline would count the whole answer."""
        silent = threading.Event()

        def give_up() -> None:
            silent.set()
            call.cancel()

        while True:
            timer = threading.Timer(self.timeout_seconds, give_up)
            timer.daemon = True
            timer.start()
            try:
                response = next(call, None)
            except self._grpc.RpcError:
                if silent.is_set():
                    raise self._silence() from None
                raise
            finally:
                timer.cancel()
            if response is None:
                return
            yield response

    def _piece(self, response: Any, input_tokens: int) -> Piece:
        reason = _STOP[response.stop_reason] if response.stop_reason < len(_STOP) else "ERROR"
        if reason in _FAILED:
            raise ServerError(f"{self.target}: the engine broke off ({reason})", hint=_LOG)
        counted = response.generated_token_count
        usage = {"prompt_tokens": input_tokens, "completion_tokens": counted, "total_tokens": input_tokens + counted}
        return Piece(response.text, finish_reason=None if reason == _STOP[0] else reason.lower(), usage=usage)

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        # Bounded answers; a proxy of the environment is not for an engine of one's own.
        options = (("grpc.max_receive_message_length", _MOST_ANSWER), ("grpc.enable_http_proxy", 0))
        if self._secure:
            channel = self._grpc.secure_channel(self.target, self._grpc.ssl_channel_credentials(), options)
        else:
            channel = self._grpc.insecure_channel(self.target, options)
        with closing(channel):
            yield channel

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self._grpc.RpcError as error:
            raise self._refusal(error.code().name, error.details() or "") from error

    def _refusal(self, code: str, details: str) -> ServerError:
        said = " ".join(details.split())[:300]
        if code == "DEADLINE_EXCEEDED":
            return self._silence()
        if code == "UNAVAILABLE" and "Connection refused" in said:
            return ServerError(
                f"{self.target}: nothing listens there (connection refused)",
                hint="is the engine still loading its model? `kubectl get pods` tells; --base-url or --release names "
                "another place",
            )
        for mark, text, way_out in _NOT_GRPC if code == "UNAVAILABLE" else ():
            if mark in said:
                return ServerError(f"{self.target}: {text}", hint=way_out)
        hint = _HINTS.get(code)
        if code == "UNAVAILABLE":
            hint = "the server is loading, went away, or wants TLS (https://): `kubectl get pods` tells"
        return ServerError(f"{self.target}: {code}: {said or 'no reason given'}", hint=hint or _LOG)

    def _silence(self) -> ServerError:
        return ServerError(
            f"{self.target}: silent for {self.timeout_seconds:g} s", hint="raise --timeout, or lower --max-tokens"
        )


def _parameters(sampling: Sampling) -> dict[str, Any]:
    """Fields of Parameters; drawing at random is chosen by what is given, as TGIS has two modes."""
    fields: dict[str, Any] = {"stopping": {"include_stop_sequence": False, "stop_sequences": sampling.stop}}
    if sampling.max_tokens is not None:
        fields["stopping"]["max_new_tokens"] = sampling.max_tokens
    drawn = {name: value for name in ("temperature", "top_p", "seed") if (value := getattr(sampling, name)) is not None}
    if drawn and drawn.get("temperature") != 0:
        fields |= {"method": "SAMPLE", "sampling": drawn}
    return fields
