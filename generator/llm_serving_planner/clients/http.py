"""HTTP to a model server: one request per connection, and every failure as one line with the way out."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from llm_serving_planner.base.errors import InputError, ServerError

_READ_BYTES = 65536
_SHOWN_CHARACTERS = 300
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

    Args:
        base_url: address with or without scheme, path prefix and a trailing /v1.
        api_key: sent as bearer token.
        timeout_seconds: longest silence of the server that is borne.
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, timeout_seconds: float = 120.0) -> None:
        parts = split_url(base_url)
        self.secure, self.host, self.port = parts.scheme == "https", parts.hostname or "", parts.port
        self.prefix = parts.path.rstrip("/").removesuffix("/v1")
        self.url = f"{parts.scheme}://{parts.netloc}{self.prefix}"
        self.timeout_seconds = timeout_seconds
        self.headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if api_key:
            self.headers["Authorization"] = f"Bearer {api_key}"

    def document(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A JSON object; POST where there is a body.

        Raises:
            ServerError: no connection, a refusal, or no JSON object.
        """
        with self._response(path, body) as response, self._explained():
            raw = response.read()
            try:
                document = json.loads(raw)
            except ValueError:
                document = None
        if not isinstance(document, dict):
            raise self._no_api(response, raw)
        return document

    def stream(self, path: str, body: dict[str, Any]) -> Iterator[bytes]:
        """The body of an answer as it arrives.

        Raises:
            ServerError: no connection, a refusal, or no event stream.
        """
        with self._response(path, body) as response, self._explained():
            if response.headers.get_content_type() != "text/event-stream":
                raise self._no_api(response, response.read())
            while block := response.read1(_READ_BYTES):
                yield block

    @contextmanager
    def _response(self, path: str, body: dict[str, Any] | None) -> Iterator[http.client.HTTPResponse]:
        with closing(self._connection()) as connection:
            with self._explained():
                data = None if body is None else json.dumps(body).encode()
                connection.request("GET" if body is None else "POST", self.prefix + path, data, self.headers)
                response = connection.getresponse()
                problem = None if response.status == http.client.OK else self._refusal(path, response)
            with closing(response):
                if problem:
                    raise problem
                yield response

    def _connection(self) -> http.client.HTTPConnection:
        if not self.secure:
            return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_seconds)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout_seconds, context=context)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Failures of the network as ServerError."""
        try:
            yield
        except ConnectionRefusedError as error:
            raise ServerError(f"{self.url}: nothing listens there (connection refused)", hint=_LOADING) from error
        except TimeoutError as error:
            raise ServerError(
                f"{self.url}: silent for {self.timeout_seconds:g} s", hint="raise --timeout, or lower --max-tokens"
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise ServerError(
                f"{self.url}: its certificate is not trusted ({error.verify_message})",
                hint="name the authority's file in SSL_CERT_FILE",
            ) from error
        except ssl.SSLError as error:
            raise ServerError(f"{self.url}: no TLS ({error.reason})", hint="is it http:// instead?") from error
        except socket.gaierror as error:
            raise ServerError(
                f"{self.url}: the name is not known ({error.strerror})",
                hint="names of Services work inside the cluster only; --release NAME opens the way",
            ) from error
        except http.client.HTTPException as error:
            problem, hint = _broken(error)
            raise ServerError(f"{self.url}: {problem}", hint=hint) from error
        except OSError as error:
            raise ServerError(f"{self.url}: {error.strerror or error}", hint="look at the engine's log") from error

    def _refusal(self, path: str, response: http.client.HTTPResponse) -> ServerError:
        raw = response.read()
        if "Location" in response.headers:
            return ServerError(
                f"{self.url}: HTTP {response.status}, it sends elsewhere",
                hint=f"--base-url {response.headers['Location']}",
            )
        said = _message(raw)
        if said is None and response.headers.get_content_type() == "text/html" and response.status not in _HINTS:
            return self._no_api(response, raw)
        said = _short(said or response.reason)
        hint = _HINTS.get(response.status)
        if any(mark in said for mark in _TOO_LONG):
            hint = "shorten the prompt, lower --max-tokens, or serve with a longer --max-model-len"
        elif "chat template" in said:
            hint = "this is a base model: use --completion"
        elif response.status == http.client.NOT_FOUND and "model" not in said.lower():
            hint = f"{path} is not there: is this an OpenAI server? TGIS needs --protocol tgis"
        return ServerError(f"{self.url}: HTTP {response.status}: {said}", hint=hint)

    def _no_api(self, response: http.client.HTTPResponse, raw: bytes) -> ServerError:
        said = _message(raw)
        kind = response.headers.get("Content-Type") or "no content type"
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
        return error_message(json.loads(raw))
    except ValueError:
        return None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}..."


def _broken(error: http.client.HTTPException) -> tuple[str, str]:
    """What went wrong below HTTP's own errors, and the way out."""
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was cut in the middle of the answer", "look at the engine's log"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the server closed the connection without an answer", _LOADING
    return f"does not speak HTTP ({type(error).__name__})", "TLS is https://, and TGIS needs --protocol tgis"
