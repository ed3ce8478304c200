"""`query` and `chat`: talk to a running engine and see how fast it answers."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from llm_serving_planner.base.errors import InputError, LlmServingError
from llm_serving_planner.base.printable import harmless
from llm_serving_planner.cli.console import Add, Exit, add_format, say

if TYPE_CHECKING:
    from llm_serving_planner.clients.answer import Answer, Client, Message, Sampling


_DEFAULT_URLS = {"openai": "http://127.0.0.1:8000", "tgis": "http://127.0.0.1:8033"}
_PORT_NAMES = {"openai": "http", "tgis": "grpc"}
_KEY_VARIABLE = "OPENAI_API_KEY"  # what OpenAI's own clients read
_TIMEOUT_SECONDS = 120.0


def register(add: Add) -> None:
    """Add the commands."""
    query = add("query", _query, "ask a running engine one question; figures of speed go to stderr")
    query.add_argument("prompt", metavar="PROMPT", help="the question; - reads it from stdin")
    chat = add("chat", _chat, "converse with a running engine; lines of a pipe are turns of the conversation")
    for command in (query, chat):
        _add_server(command)
        _add_sampling(command)
        add_format(command)


def _add_server(command: argparse.ArgumentParser) -> None:
    server = command.add_argument_group("server")
    server.add_argument("--protocol", choices=("openai", "tgis"), default="openai", help="openai for vLLM and TGI")
    place = server.add_mutually_exclusive_group()
    place.add_argument(
        "--base-url", metavar="URL", help=f"address (default: {_DEFAULT_URLS['openai']}; tgis: port 8033)"
    )
    place.add_argument("--release", metavar="NAME", help="release in a cluster, reached by kubectl port-forward")
    server.add_argument("--namespace", metavar="NS", help="namespace of the release (default: kubectl's)")
    server.add_argument("--model", metavar="NAME", help="served name (default: the only one on offer)")
    server.add_argument("--api-key-env", metavar="NAME", help=f"variable that holds the key (default: {_KEY_VARIABLE})")
    server.add_argument("--timeout", type=float, default=_TIMEOUT_SECONDS, metavar="S",
                        help="longest silence of the server in seconds (default: %(default)g)")  # fmt: skip


def _add_sampling(command: argparse.ArgumentParser) -> None:
    sampling = command.add_argument_group("answer", "unset ones are left to the server")
    sampling.add_argument("--system", metavar="TEXT", help="instruction before the conversation")
    sampling.add_argument("--max-tokens", type=int, metavar="N", help="longest answer")
    sampling.add_argument("--temperature", type=float, metavar="T", help="0 always takes the likeliest token")
    sampling.add_argument("--top-p", type=float, metavar="P", help="share of probability to draw from, 0 to 1")
    sampling.add_argument("--seed", type=int, metavar="N", help="same seed, same draw")
    sampling.add_argument("--no-stream", action="store_true", help="wait for the whole answer")
    sampling.add_argument("--completion", action="store_true", help="continue plain text: models without chat template")


def _query(arguments: argparse.Namespace) -> int:
    from llm_serving_planner.clients.answer import Message

    with _utf8():
        prompt = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt
    if not prompt.strip():
        raise InputError("the prompt is empty", hint="llm-serving query 'Why is the sky blue?'")
    with _client(arguments) as client:
        _ask(client, [*_system(arguments), Message("user", prompt)], _sampling(arguments), arguments)
    return Exit.OK


def _chat(arguments: argparse.Namespace) -> int:
    from llm_serving_planner.clients.answer import Message

    messages = _system(arguments)
    first = len(messages)
    sampling = _sampling(arguments, conversation=True)
    with _client(arguments) as client:
        if sys.stdin.isatty():
            say("an empty line is passed over, /reset forgets the conversation, Ctrl-D ends it")
        for line in _turns():
            if line == "/reset":
                del messages[first:]
                continue
            messages.append(Message("user", line))
            try:
                answer = _ask(client, messages, sampling, arguments)
            except LlmServingError as error:
                if not sys.stdin.isatty():
                    raise
                say(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""))
                messages.pop()
                continue
            messages.append(Message("assistant", answer.text))
    return Exit.OK


def _turns() -> Iterator[str]:
    """What the user says, until the end of the input."""
    if sys.stdin.isatty():
        import readline  # noqa: F401 - gives input() history and editing
    while True:
        with _utf8():
            try:
                line = _line().strip()
            except EOFError:
                return
        if line:
            yield line


def _line() -> str:
    """One line; on a terminal after a prompt, which must not get into an answer that is written to a file."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        return input("> ")
    if sys.stdin.isatty():
        print("> ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


@contextmanager
def _utf8() -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        raise InputError("the prompt is not UTF-8", hint="iconv -f latin1 -t utf-8 FILE") from error


def _ask(
    client: "Client", messages: "Sequence[Message]", sampling: "Sampling", arguments: argparse.Namespace
) -> "Answer":
    """One answer, shown as it comes; what came before a failure is kept."""
    from llm_serving_planner.clients.answer import Answer

    with _utf8():  # bytes that are no text come through arguments and pipes as half characters
        "".join(message.text for message in messages).encode()
    _make_writable()
    show = arguments.format == "text"
    model = getattr(client, "model", None) or arguments.model or ""  # asked before the clock starts
    answer = Answer(model=model)
    problem: str | None = "interrupted"
    try:
        for piece in client.answer(messages, sampling, stream=not arguments.no_stream):
            answer.take(piece)
            if show:
                _show(piece.reasoning, sys.stderr)
                _show(piece.text, sys.stdout)
        problem = None
    except LlmServingError as error:
        problem = str(error)
        raise
    finally:
        if show and answer.text and not answer.text.endswith("\n"):
            print(flush=True)
        elif not show and (answer.text or problem is None):
            print(json.dumps(answer.to_dict() | ({"error": problem} if problem else {})), flush=True)
    say(answer.line())
    return answer


def _show(text: str, where: TextIO) -> None:
    if text:
        print(harmless(text), end="", file=where, flush=True)


def _make_writable() -> None:
    """A terminal without Unicode shows a question mark instead of ending the answer."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


@contextmanager
def _client(arguments: argparse.Namespace) -> "Iterator[Client]":
    """The client of the chosen protocol, through a port-forward where a release is named."""
    if arguments.namespace and not arguments.release:
        raise InputError("--namespace belongs to --release", hint="name the release with --release NAME")
    if not arguments.timeout > 0:
        raise InputError(f"--timeout is {arguments.timeout:g}: not above 0")
    key = _key(arguments.api_key_env)
    if arguments.release is None:
        yield _connect(arguments, arguments.base_url or _DEFAULT_URLS[arguments.protocol], key)
        return
    from llm_serving_planner.cluster.forward import port_forward

    with port_forward(arguments.release, arguments.namespace, _PORT_NAMES[arguments.protocol]) as address:
        yield _connect(arguments, f"http://{address}", key)


def _connect(arguments: argparse.Namespace, base_url: str, key: str | None) -> "Client":
    if arguments.protocol == "tgis":
        from llm_serving_planner.clients.tgis import Tgis

        # TGIS knows no keys: one is sent only where it was named for a gateway before it
        named = key if arguments.api_key_env else None
        return Tgis(base_url, model=arguments.model, api_key=named, timeout_seconds=arguments.timeout)
    from llm_serving_planner.clients.openai import OpenAI

    return OpenAI(
        base_url,
        model=arguments.model,
        api_key=key,
        completion=arguments.completion,
        timeout_seconds=arguments.timeout,
    )


def _key(variable: str | None) -> str | None:
    """The key, from the environment alone: an argument could be read by every user of the machine."""
    key = os.environ.get(variable or _KEY_VARIABLE, "").strip()
    if variable and not key:
        raise InputError(f"--api-key-env is {variable}: that variable is unset or empty", hint=f"export {variable}=...")
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"{variable or _KEY_VARIABLE} holds characters that no HTTP header can carry")
    return key or None


def _system(arguments: argparse.Namespace) -> "list[Message]":
    from llm_serving_planner.clients.answer import Message

    return [Message("system", arguments.system)] if arguments.system else []


def _sampling(arguments: argparse.Namespace, *, conversation: bool = False) -> "Sampling":
    """Limits of the protocol itself; the server refuses what its model does not bear."""
    from llm_serving_planner.clients.answer import TRANSCRIPT_STOP, Sampling

    if arguments.max_tokens is not None and arguments.max_tokens < 1:
        raise InputError(f"--max-tokens is {arguments.max_tokens}: at least 1")
    if arguments.temperature is not None and not 0 <= arguments.temperature <= 2:
        raise InputError(f"--temperature is {arguments.temperature:g}: 0 to 2")
    if arguments.top_p is not None and not 0 < arguments.top_p <= 1:
        raise InputError(f"--top-p is {arguments.top_p:g}: above 0, at most 1")
    plain = arguments.completion or arguments.protocol == "tgis"
    stop = (TRANSCRIPT_STOP,) if plain and (conversation or arguments.system) else ()
    return Sampling(arguments.max_tokens, arguments.temperature, arguments.top_p, arguments.seed, stop)
