"""The OpenAI protocol as vLLM and TGI speak it: models, chat completions, completions.

Fields: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html and TGI's docs/openapi.json (2026-11-25).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from llm_serving_planner.base import jsontext
from llm_serving_planner.base.errors import InputError, SchemaError, ServerError
from llm_serving_planner.base.shapes import check_shape
from llm_serving_planner.clients.answer import Message, Piece, Sampling, transcript
from llm_serving_planner.clients.http import Http, error_message

_DONE = "[DONE]"


class OpenAI:
    """A server of the OpenAI protocol.

    Args:
        base_url: address of the server, with or without /v1.
        model: served name; the only one on offer where it is None.
        api_key: bearer token.
        completion: continue plain text instead of a chat, for models without chat template.
        timeout_seconds: longest silence of the server.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        completion: bool = False,
        timeout_seconds: float = 120.0,
    ) -> None:
        self.http = Http(base_url, api_key=api_key, timeout_seconds=timeout_seconds)
        self.completion = completion
        self._model = model

    def models(self) -> list[str]:
        """Names that the server answers to.

        Raises:
            ServerError: the server cannot be reached or gives no list.
        """
        document = self.http.document("/v1/models")
        try:
            check_shape("models", document, "/v1/models")
        except SchemaError as error:
            raise ServerError(
                f"{self.http.url}: /v1/models holds no list of models: this is no OpenAI server",
                hint="--base-url names the engine itself",
            ) from error
        return [entry["id"] for entry in document["data"]]

    @property
    def model(self) -> str:
        """The model to ask.

        Raises:
            InputError: several models are served and none was chosen.
            ServerError: the list cannot be had.
        """
        if self._model is None:
            names = self.models()
            if not names:
                raise ServerError(f"{self.http.url}: serves no model", hint="look at the engine's log")
            if len(names) > 1:
                raise InputError(f"several models are served: {', '.join(names)}", hint=f"--model {names[0]}")
            self._model = names[0]
        return self._model

    def answer(self, messages: Sequence[Message], sampling: Sampling, *, stream: bool = True) -> Iterable[Piece]:
        """Continue the conversation, piece by piece.

        Raises:
            ServerError: the server cannot be reached, refuses, or stops in the middle.
        """
        body = self._body(messages, sampling)
        path = "/v1/completions" if self.completion else "/v1/chat/completions"
        if not stream:
            return [self._whole(self.http.document(path, body))]
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        return self._stream(path, body)

    def _body(self, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model}
        if self.completion:
            body["prompt"] = transcript(messages)
        else:
            body["messages"] = [{"role": message.role, "content": message.text} for message in messages]
        for name in ("max_tokens", "temperature", "top_p", "seed"):
            if (value := getattr(sampling, name)) is not None:
                body[name] = value
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        return body

    def _stream(self, path: str, body: dict[str, Any]) -> Iterator[Piece]:
        finished = said = False
        try:
            for data in self.http.events(path, body):
                if data == _DONE:
                    finished = said
                    break
                piece = self._piece(self._parsed(data))
                finished = finished or piece.finish_reason is not None
                said = said or finished or bool(piece.text or piece.reasoning)
                yield piece
        except ServerError:
            if not finished:  # an engine may close hard after its last word
                raise
        if not finished:
            raise self._cut()

    def _parsed(self, data: str) -> dict[str, Any]:
        try:
            document = jsontext.parse(data, "event")
        except InputError as error:
            raise self._cut() from error
        said = error_message(document)
        if said is not None:
            raise ServerError(f"{self.http.url}: the engine broke off: {said}", hint="look at the engine's log")
        if not isinstance(document, dict):
            raise self._cut()
        return document

    def _cut(self) -> ServerError:
        return ServerError(
            f"{self.http.url}: the stream was cut before its end",
            hint="the engine or a proxy closed it: `kubectl get pods` tells of restarts",
        )

    def _whole(self, document: dict[str, Any]) -> Piece:
        piece = self._piece(document)
        if not document.get("choices"):
            raise ServerError(f"{self.http.url}: the answer holds no choice", hint="is this an OpenAI server?")
        return piece

    def _piece(self, document: dict[str, Any]) -> Piece:
        """One chunk, or a whole answer: text stands under delta, message or, in a completion, directly.

        Raises:
            ServerError: it has another shape.
        """
        try:
            check_shape("completion", document, f"{self.http.url}: the answer")
        except SchemaError as error:
            raise ServerError(str(error), hint="is this an OpenAI server?") from error
        choice: dict[str, Any] = next(iter(document.get("choices") or ()), {})
        part = choice.get("delta") or choice.get("message") or {}
        text = part.get("content") or choice.get("text") or ""
        # https://docs.vllm.ai/en/v0.11.2/features/reasoning_outputs/ (2026-11-25): reasoning, once reasoning_content
        reasoning = part.get("reasoning") or part.get("reasoning_content") or ""
        usage = document.get("usage") or {}
        counts = {key: value for key, value in usage.items() if type(value) is int}
        return Piece(_encodable(text), _encodable(reasoning), choice.get("finish_reason"), counts or None)


def _encodable(text: str) -> str:
    """Without half characters, which JSON can carry and no output can."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
