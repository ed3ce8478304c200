"""HTTP to a model server, through httpx2: every failure as one line with the way out, every answer bounded."""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx2

from llm_serving_planner.base import jsontext
from llm_serving_planner.base.errors import InputError, ServerError
from llm_serving_planner.base.printable import one_line
from llm_serving_planner.base.streams import counted
from llm_serving_planner.base.units import MIB

_SHOWN_CHARACTERS = 300
# The longest answer has a million tokens of some ten characters, or 250 bytes as an event each.
_MOST_ANSWER = 16 * MIB
_MOST_STREAM = 256 * MIB
_MOST_EVENT = 1 * MIB
_LOADING = (
    "is the engine still loading its model? `kubectl get pods` tells; --base-url or --release names another place"
)
# Words of vLLM 0.32 and of TGI's router/src/validation.rs (2026-11-25)
_TOO_LONG = ("context length", "max_model_len", "max_new_tokens", "must have less than")
_HINTS = {
    401: "put the server's key into OPENAI_API_KEY, or name the variable with --api-key-env",
    403: "the key is known but not allowed to do this",
    404: "`curl BASE_URL/v1/models` lists the names; leave --model out to take the served one",
    429: "the server is busy: try again later, or add replicas",
    502: "the engine behind this address does not answer: `kubectl get pods` tells why",
    503: "the server is loading or overloaded: try again later",
    504: "the gateway gave up waiting: raise its timeout, or lower --max-tokens",
}


class Http:
    """Requests to one server.

    Redirects are not followed, since the key would go along; a proxy of the environment is not for an engine of one's
    own; bodies come as they are, since a compressed one can be of any size.

    Args:
        base_url: address with or without scheme, path prefix and a trailing /v1.
        api_key: sent as bearer token.
        timeout_seconds: longest silence of the server that is borne.
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, timeout_seconds: float = 120.0) -> None:
        parts = split_url(base_url)
        prefix = parts.path.rstrip("/").removesuffix("/v1")
        self.url = f"{parts.scheme}://{parts.netloc}{prefix}"
        self.secure = parts.scheme == "https"
        self.timeout_seconds = timeout_seconds
        self.headers = {"Accept": "application/json, text/event-stream", "Accept-Encoding": "identity"}
        if api_key:
            self.headers["Authorization"] = f"Bearer {api_key}"

    def document(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A JSON object; POST where there is a body.

        Raises:
            ServerError: no connection, a refusal, or no JSON object.
        """
        with self._response(path, body) as response:
            raw = self._read(response)
            try:
                return jsontext.parse_object(raw, path, _MOST_ANSWER)
            except InputError as error:
                raise self._no_api(response, raw) from error

    def events(self, path: str, body: dict[str, Any]) -> Iterator[str]:
        """The data of each server-sent event of an answer, as it arrives.

        Raises:
            ServerError: no connection, a refusal, or no event stream.
        """
        with self._response(path, body) as response:
            if _kind(response) != "text/event-stream":
                raise self._no_api(response, self._read(response))
            self._bound(response, _MOST_STREAM)
            for event in httpx2.EventSource(response, max_event_size=_MOST_EVENT):
                yield event.data

    @contextmanager
    def _response(self, path: str, body: dict[str, Any] | None) -> Iterator[httpx2.Response]:
        # OpenSSL's own context honours SSL_CERT_FILE
        context = ssl.create_default_context() if self.secure else False
        with (
            self._explained(),
            httpx2.Client(
                timeout=self.timeout_seconds, trust_env=False, verify=context, headers=self.headers
            ) as client,
            client.stream("GET" if body is None else "POST", self.url + path, json=body) as response,
        ):
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise ServerError(f"{self.url}: answers compressed, although that was not asked for")
            if response.status_code != HTTPStatus.OK:
                raise self._refusal(path, response)
            yield response

    def _read(self, response: httpx2.Response) -> bytes:
        """The whole body.

        Raises:
            ServerError: it is too long.
        """
        self._bound(response, _MOST_ANSWER)
        return b"".join(response.iter_raw())

    def _bound(self, response: httpx2.Response, most: int) -> None:
        """Count the body while it comes."""

        def check(size: int, _: bytes) -> None:
            if size > most:
                raise ServerError(f"{self.url}: the answer is longer than {most:,} bytes")

        class Body(httpx2.SyncByteStream):
            def __init__(self, stream: Any) -> None:
                self.stream = stream

            def __iter__(self) -> Iterator[bytes]:
                return counted(self.stream, check)

            def close(self) -> None:
                self.stream.close()

        response.stream = Body(response.stream)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Failures of the network as ServerError."""
        try:
            yield
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ServerError:
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return ServerError(
                    f"{self.url}: its certificate is not trusted ({cause.verify_message})",
                    hint="name the authority's file in SSL_CERT_FILE",
                )
            if isinstance(cause, ssl.SSLError):
                return ServerError(f"{self.url}: no TLS ({cause.reason})", hint="is it http:// instead?")
            if isinstance(cause, ConnectionRefusedError):
                return ServerError(f"{self.url}: nothing listens there (connection refused)", hint=_LOADING)
            if isinstance(cause, httpx2.TimeoutException | TimeoutError):
                return ServerError(
                    f"{self.url}: silent for {self.timeout_seconds:g} s", hint="raise --timeout, or lower --max-tokens"
                )
        problem, hint = _broken(error, causes)
        return ServerError(f"{self.url}: {problem}", hint=hint)

    def _refusal(self, path: str, response: httpx2.Response) -> ServerError:
        raw = self._read(response)
        if "Location" in response.headers:
            return ServerError(
                f"{self.url}: HTTP {response.status_code}, it sends elsewhere",
                hint=f"--base-url {_short(response.headers['Location'])}",
            )
        said = _message(raw)
        if said is None and _kind(response) == "text/html" and response.status_code not in _HINTS:
            return self._no_api(response, raw)
        said = _short(said or response.reason_phrase)
        hint = _HINTS.get(response.status_code)
        if any(mark in said for mark in _TOO_LONG):
            hint = "shorten the prompt, lower --max-tokens, or serve with a longer --max-model-len"
        elif "chat template" in said:
            hint = "this is a base model: use --completion"
        elif response.status_code == HTTPStatus.NOT_FOUND and "model" not in said.lower():
            hint = f"{path} is not there: is this an OpenAI server? TGIS needs --protocol tgis"
        return ServerError(f"{self.url}: HTTP {response.status_code}: {said}", hint=hint)

    def _no_api(self, response: httpx2.Response, raw: bytes) -> ServerError:
        said = _message(raw)
        kind = _short(response.headers.get("Content-Type") or "no content type")
        return ServerError(
            f"{self.url}: {_short(said)}" if said else f"{self.url}: answers with {kind}: this is no OpenAI server",
            hint="--base-url names the engine itself, without a path such as /docs; TGIS needs --protocol tgis",
        )


def split_url(base_url: str) -> Any:
    """Parts of an address, http:// where it names no scheme.

    Raises:
        InputError: no address of a server.
    """
    parts = urlsplit(base_url if "://" in base_url else f"http://{base_url}")
    try:
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = None
    if not usable or parts.query or parts.username is not None:
        raise InputError(
            f"--base-url is {base_url!r}: not of the form http://HOST:PORT", hint="the default is http://127.0.0.1:8000"
        )
    return parts


def error_message(document: Any) -> str | None:
    """What an error document says; None where it is none.

    vLLM and OpenAI: {"error": {"message": ...}}; vLLM before 0.10.1: {"object": "error", "message": ...}
    (vllm-project/vllm#22099); TGI: {"error": ..., "error_type": ...}; FastAPI: {"detail": ...} (2026-11-25).
    """
    if not isinstance(document, dict):
        return None
    error = document.get("error", document.get("detail"))
    if error is None and document.get("object") == "error":
        error = document
    if isinstance(error, dict):
        error = error.get("message") or json.dumps(error)
    return None if error is None else str(error)


def _message(raw: bytes) -> str | None:
    try:
        return error_message(jsontext.parse(raw, "answer", _MOST_ANSWER))
    except InputError:
        return None


def _kind(response: httpx2.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _short(text: str) -> str:
    return one_line(" ".join(text[: 4 * _SHOWN_CHARACTERS].split()), _SHOWN_CHARACTERS)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _broken(error: Exception, causes: list[BaseException]) -> tuple[str, str]:
    """What went wrong otherwise, and the way out."""
    if unknown := next((cause for cause in causes if isinstance(cause, socket.gaierror)), None):
        return (
            f"the name is not known ({unknown.strerror})",
            "names of Services work inside the cluster only; --release NAME opens the way",
        )
    said = str(error)
    if isinstance(error, httpx2.SSEError):
        return f"an event is longer than {_MOST_EVENT:,} bytes", "look at the engine's log"
    if "without sending a response" in said:
        return "the server closed the connection without an answer", _LOADING
    if "incomplete" in said or "without sending complete" in said:
        return "the connection was cut in the middle of the answer", "look at the engine's log"
    if isinstance(error, httpx2.ProtocolError):
        return f"does not speak HTTP ({_short(said)})", "TLS is https://, and TGIS needs --protocol tgis"
    system = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    return _short(
        system.strerror if isinstance(system, OSError) and system.strerror else said or type(error).__name__
    ), ("look at the engine's log")
