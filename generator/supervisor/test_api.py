"""`helm test`: list the models, then complete a text and stream a chat, or ask for vectors or scores (TASK).

NAMES holds further names that must be on offer (aliases, LoRA adapters), the last ADAPTERS of them adapters, which are
asked for a text too. The standard library only.

The key goes to the server under test alone: no proxy is used, no redirect is followed. Every answer has a deadline and
a largest size, whatever the server does, and SIGTERM ends the program at once.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from supervisor.bounded import clean, end_on_signals, leave, within

ANSWER_SECONDS = 120.0  # a first answer may compile kernels
PROBE_SECONDS = 10.0  # the same while nobody knows whether the server is there
PAUSE_SECONDS = 2.0
ANSWER_BYTES = 1 << 24


class FailedError(Exception):
    """What was promised is not served; the text is for people."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Whoever redirects gives no answer: the key would go to another server, whose answer says nothing of this one."""

    def redirect_request(self, *_: Any) -> None:
        """None: the redirect itself is the error."""


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status.
        body: the whole body.
    """

    status: int
    body: bytes

    def document(self) -> Any:
        """The body as JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise FailedError(f"the answer is no JSON ({type(error).__name__}): {clean(self.body[:200])}") from error


@dataclass(frozen=True)
class Api:
    """The server under test.

    Attributes:
        base: its address, without a slash at the end.
        model: the served name.
        names: further names that must be on offer.
        adapters: those of them that are adapters.
        key: sent as bearer token; empty for none.
        context: how its certificate is judged; None where it speaks plain HTTP.
        deadline_seconds: how long it may take to become ready.
    """

    base: str
    model: str
    names: list[str]
    adapters: list[str]
    key: str
    context: ssl.SSLContext | None
    deadline_seconds: float

    def call(self, path: str, body: dict[str, Any] | None = None, seconds: float = ANSWER_SECONDS) -> Answer:
        """The answer to a request, whatever its status; raises FailedError where none comes in time and whole."""
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = "Bearer " + self.key
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers)  # noqa: S310 - the chart writes the address
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), NoRedirect()]
        if self.context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self.context))
        opener = urllib.request.build_opener(*handlers)

        def work() -> Answer:
            try:
                with opener.open(request, timeout=seconds) as response:
                    return Answer(response.status, whole(response))
            except urllib.error.HTTPError as error:
                with error:
                    return Answer(error.code, error.read(ANSWER_BYTES))

        try:
            return within(work, seconds)
        except TimeoutError as error:
            raise FailedError(f"{path}: no whole answer within {seconds:.0f} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise FailedError(f"{path}: {type(error).__name__}: {clean(error) or 'no text'}") from error

    def good(self, path: str, body: dict[str, Any] | None = None) -> Answer:
        """The same, of status 200."""
        answer = self.call(path, body)
        if answer.status != 200:
            raise FailedError(f"{self.base}{path}: HTTP {answer.status}: {clean(answer.body[:200])}")
        return answer

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to a request."""
        return self.good(path, {"model": self.model, **body}).document()

    def wait_until_ready(self) -> None:
        """Ask /health until it answers 200, at most until the deadline."""
        deadline, last = time.monotonic() + self.deadline_seconds, "no answer"
        while time.monotonic() < deadline:
            try:
                answer = self.call("/health", seconds=max(0.1, min(PROBE_SECONDS, deadline - time.monotonic())))
            except FailedError as error:
                last = str(error)
            else:
                if answer.status == 200:
                    return
                last = f"HTTP {answer.status}"
            time.sleep(max(0.0, min(PAUSE_SECONDS, deadline - time.monotonic())))
        raise FailedError(f"{self.base}/health is not ready before the deadline: {last}")

    def check_models(self) -> None:
        """The served names are on offer."""
        names = [entry["id"] for entry in self.good("/v1/models").document()["data"]]
        for name in [self.model, *self.names]:
            if name not in names:
                raise FailedError(f"{name} is not served; the engine offers {names}")
        say(f"models: {names}")

    def check_generate(self) -> None:
        """Text from the model and each adapter, a chat from the model."""
        for name in [self.model, *self.adapters]:
            self._check_completion(name)
        self._check_chat()

    def _check_completion(self, model: str) -> None:
        """A completion gives text."""
        text = self.ask("/v1/completions", {"model": model, "prompt": "Hello", "max_tokens": 8})["choices"][0]["text"]
        if not isinstance(text, str):
            raise FailedError("the completion holds no text")
        say(f"{'completion' if model == self.model else f'completion of {model}'}: {text!r}")

    def _check_chat(self) -> None:
        """A streamed chat brings chunks and ends with [DONE]. A model without chat template is told, not failed."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 8,
            "stream": True,
        }
        answer = self.call("/v1/chat/completions", body)
        if answer.status == 400 and b"chat template" in answer.body:
            say("chat: the model has no chat template; only completions are served")
            return
        if answer.status != 200:
            raise FailedError(f"{self.base}/v1/chat/completions: HTTP {answer.status}: {clean(answer.body[:200])}")
        lines = [line.strip() for line in answer.body.decode(errors="replace").splitlines()]
        chunks = [line[6:] for line in lines if line.startswith("data: ")]
        if not chunks or chunks[-1] != "[DONE]":
            raise FailedError(f"the stream does not end with [DONE]: {chunks[-1:]}")
        for chunk in chunks[:-1]:
            Answer(200, chunk.encode()).document()
        say(f"chat: {len(chunks) - 1} chunks, then [DONE]")

    def check_embed(self) -> None:
        """Two texts give two vectors of one length."""
        data = self.ask("/v1/embeddings", {"input": ["Hello", "Good morning"]})["data"]
        vectors = [entry["embedding"] for entry in data]
        if len(vectors) != 2 or not all(map(numbers, vectors)) or len({len(vector) for vector in vectors}) != 1:
            found = [len(vector) for vector in vectors]
            raise FailedError(f"two vectors of one length are expected, {found} came")
        say(f"embeddings: 2 vectors of {len(vectors[0])}")

    def check_rerank(self) -> None:
        """Every document gets a score."""
        documents = ["Paris is a city.", "Bread is food."]
        results = self.ask("/v1/rerank", {"query": "Which city?", "documents": documents})["results"]
        scores = [entry["relevance_score"] for entry in results]
        if len(scores) != len(documents) or not numbers(scores):
            raise FailedError(f"{len(documents)} scores are expected: {results}")
        say(f"rerank: {len(scores)} scores")

    def check_classify(self) -> None:
        """A text gets probabilities."""
        probabilities = self.ask("/classify", {"input": "Hello"})["data"][0]["probs"]
        if not numbers(probabilities):
            raise FailedError(f"the classes have no probabilities: {probabilities}")
        say(f"classify: {len(probabilities)} classes")

    def check_pooling(self) -> None:
        """A text gives data of some shape."""
        data = self.ask("/pooling", {"input": "Hello"})["data"][0]["data"]
        if not data:
            raise FailedError("the pooler gives nothing")
        say(f"pooling: {len(data)} values")


def whole(response: http.client.HTTPResponse) -> bytes:
    """The body; raises FailedError for one that has no end, or ends too soon."""
    body = response.read(ANSWER_BYTES + 1)
    if response.length and len(body) <= ANSWER_BYTES:
        raise FailedError(f"an answer was cut off, {response.length} bytes are missing")
    if len(body) > ANSWER_BYTES:
        raise FailedError(f"an answer is longer than {ANSWER_BYTES >> 20} MiB")
    return body


def say(text: str) -> None:
    """One line in the pod's log."""
    print(clean(text), flush=True)


def numbers(values: list[Any]) -> bool:
    """Whether a list holds numbers, and at least one."""
    return bool(values) and all(isinstance(value, (int, float)) for value in values)


CHECKS = {
    "generate": Api.check_generate,
    "embed": Api.check_embed,
    "rerank": Api.check_rerank,
    "classify": Api.check_classify,
    "pooling": Api.check_pooling,
}


def from_environment() -> Api:
    """The server that the environment describes."""
    names: list[str] = json.loads(os.environ.get("NAMES", "[]"))
    authority = os.environ.get("CA_FILE")
    return Api(
        base=os.environ["BASE_URL"].rstrip("/"),
        model=os.environ["MODEL"],
        names=names,
        adapters=names[len(names) - int(os.environ.get("ADAPTERS", "0")) :],
        key=os.environ.get("API_KEY", ""),
        context=ssl.create_default_context(cafile=authority) if authority else None,
        deadline_seconds=float(os.environ.get("DEADLINE_SECONDS", "60")),
    )


def checks(api: Api) -> None:
    """Everything that is promised; raises FailedError."""
    api.wait_until_ready()
    try:
        api.check_models()
        CHECKS[os.environ.get("TASK", "generate")](api)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise FailedError(f"an answer in another form than promised ({type(error).__name__}: {error})") from error


def main() -> int:
    """Run the checks of TASK; the exit code."""
    end_on_signals()
    try:
        checks(from_environment())
    except FailedError as error:
        say(f"FAILED: {error}")
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one line
        say(f"FAILED: {type(error).__name__}: {error}")
        return 1
    say("OK")
    return 0


if __name__ == "__main__":
    leave(main())
