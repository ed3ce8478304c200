# Made by `make generate` from generator/supervisor/test_api.py; change that file.
"""`helm test`: list the models, then complete a text and stream a chat, or ask for vectors or scores (TASK).

NAMES holds further names that must be on offer (aliases, LoRA adapters), the last ADAPTERS of them adapters, which are
asked for a text too. The standard library only.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from http.client import HTTPResponse

ANSWER_SECONDS = 120  # a first answer may compile kernels


class FailedError(Exception):
    """What was promised is not served; the text is for people."""


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

    def call(self, path: str, body: dict[str, Any] | None = None) -> HTTPResponse:
        """Open a request; the response object."""
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = "Bearer " + self.key
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers)  # noqa: S310 - the chart writes the address
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=ANSWER_SECONDS, context=self.context)  # noqa: S310
        return answer

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to a request."""
        with self.call(path, {"model": self.model, **body}) as response:
            return json.load(response)

    def wait_until_ready(self) -> None:
        """Ask /health until it answers 200, at most until the deadline."""
        deadline, last = time.monotonic() + self.deadline_seconds, "no answer"
        while time.monotonic() < deadline:
            try:
                with self.call("/health"):
                    return
            except urllib.error.HTTPError as error:
                last = f"HTTP {error.code}"
            except OSError as error:
                last = str(error)
            time.sleep(2)
        raise FailedError(f"{self.base}/health is not ready before the deadline: {last}")

    def check_models(self) -> None:
        """The served names are on offer."""
        with self.call("/v1/models") as response:
            names = [entry["id"] for entry in json.load(response)["data"]]
        for name in [self.model, *self.names]:
            if name not in names:
                raise FailedError(f"{name} is not served; the engine offers {names}")
        print("models:", names)

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
        print("completion:" if model == self.model else f"completion of {model}:", repr(text))

    def _check_chat(self) -> None:
        """A streamed chat brings chunks and ends with [DONE]. A model without chat template is told, not failed."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 8,
            "stream": True,
        }
        try:
            with self.call("/v1/chat/completions", body) as response:
                lines = [line.decode().strip() for line in response]
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            if error.code == 400 and "chat template" in text:
                print("chat: the model has no chat template; only completions are served")
                return
            raise
        chunks = [line[6:] for line in lines if line.startswith("data: ")]
        if not chunks or chunks[-1] != "[DONE]":
            raise FailedError(f"the stream does not end with [DONE]: {chunks[-1:]}")
        for chunk in chunks[:-1]:
            json.loads(chunk)
        print("chat:", len(chunks) - 1, "chunks, then [DONE]")

    def check_embed(self) -> None:
        """Two texts give two vectors of one length."""
        data = self.ask("/v1/embeddings", {"input": ["Hello", "Good morning"]})["data"]
        vectors = [entry["embedding"] for entry in data]
        if len(vectors) != 2 or not all(map(numbers, vectors)) or len({len(vector) for vector in vectors}) != 1:
            found = [len(vector) for vector in vectors]
            raise FailedError(f"two vectors of one length are expected, {found} came")
        print("embeddings: 2 vectors of", len(vectors[0]))

    def check_rerank(self) -> None:
        """Every document gets a score."""
        documents = ["Paris is a city.", "Bread is food."]
        results = self.ask("/v1/rerank", {"query": "Which city?", "documents": documents})["results"]
        scores = [entry["relevance_score"] for entry in results]
        if len(scores) != len(documents) or not numbers(scores):
            raise FailedError(f"{len(documents)} scores are expected: {results}")
        print("rerank:", len(scores), "scores")

    def check_classify(self) -> None:
        """A text gets probabilities."""
        probabilities = self.ask("/classify", {"input": "Hello"})["data"][0]["probs"]
        if not numbers(probabilities):
            raise FailedError(f"the classes have no probabilities: {probabilities}")
        print("classify:", len(probabilities), "classes")

    def check_pooling(self) -> None:
        """A text gives data of some shape."""
        data = self.ask("/pooling", {"input": "Hello"})["data"][0]["data"]
        if not data:
            raise FailedError("the pooler gives nothing")
        print("pooling:", len(data), "values")


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


def main() -> None:
    """Run the checks of TASK; raises FailedError, or what the network and broken answers raise."""
    api = from_environment()
    api.wait_until_ready()
    api.check_models()
    CHECKS[os.environ.get("TASK", "generate")](api)


def fail(text: str) -> NoReturn:
    """Say what failed, in one line."""
    print("FAILED:", text)
    sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except FailedError as error:
        fail(str(error))
    except urllib.error.HTTPError as error:
        fail(f"{error.url}: HTTP {error.code}: {error.read().decode(errors='replace')[:200]}")
    except (OSError, KeyError, IndexError, ValueError) as error:
        fail(f"{type(error).__name__}: {error}")
    print("OK")
