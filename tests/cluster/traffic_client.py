"""Runs in a pod beside the release: streams chats without a pause and judges every answer; standard library only.

traffic_client.py URL MODEL [THREADS [WORDS]] prints one JSON line per request: start and end (seconds of this
machine's clock) and a verdict. `right` is whole and its own; `error` is anything that the caller sees as a failure
(with the reason); `wrong` is an answer that looks whole and is not, or that holds another request's words: there must
be none.
"""

import http.client
import json
import sys
import threading
import time
import urllib.parse
from typing import Any

PAUSE = 0.05  # seconds between two requests of a thread: enough to see gaps, not a load test
PATIENCE = 10.0  # seconds without a byte after which a caller gives up


class WrongError(Exception):
    """The answer lies."""


class FailedError(Exception):
    """The caller sees that there is no answer."""


def judge_stream(lines: list[str], tag: str, words: int) -> None:
    """A whole stream has every word once, in order, and says that it is done.

    Raises:
        WrongError: It says that it is done and is not whole, or holds words of another request.
        FailedError: It ends before it says that it is done.
    """
    chunks = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    done = bool(chunks) and chunks[-1] == "[DONE]"
    said: list[str] = []
    for number, chunk in enumerate(chunks[:-1] if done else chunks):
        try:
            said.append(json.loads(chunk)["choices"][0]["delta"]["content"])
        except (ValueError, LookupError, TypeError):
            if not done and number == len(chunks) - 1:
                break  # the last line of a cut stream
            raise WrongError(f"not a chunk: {chunk[:80]}") from None
    expected = [f"{tag}.{number}" for number in range(words)]
    if said != expected[: len(said)]:
        raise WrongError(f"asked for {tag}, got {' '.join(said)[:80]}")
    if not done:
        raise FailedError(f"cut after {len(said)} of {words} words")
    if len(said) != words:
        raise WrongError(f"says it is done after {len(said)} of {words} words")


def ask(url: urllib.parse.SplitResult, model: str, tag: str, words: int) -> None:
    """One streamed chat."""
    connection = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=PATIENCE)
    body = {
        "model": model,
        "stream": True,
        "max_tokens": words,
        "messages": [{"role": "user", "content": f"Say {tag}"}],
    }
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise FailedError(f"HTTP {answer.status}")
        lines = []
        try:
            for line in answer:
                lines.append(line.decode(errors="replace").strip())  # noqa: PERF401 - what came before an error counts
        except (OSError, http.client.HTTPException) as error:
            judge_stream([line for line in lines if line != "data: [DONE]"], tag, words)
            raise FailedError(f"cut: {type(error).__name__}") from error
        judge_stream(lines, tag, words)
    finally:
        connection.close()


def one(url: urllib.parse.SplitResult, model: str, tag: str, words: int) -> dict[str, Any]:
    """Ask and judge."""
    line: dict[str, Any] = {"start": round(time.time(), 3), "verdict": "right"}
    try:
        ask(url, model, tag, words)
    except WrongError as error:
        line |= {"verdict": "wrong", "why": str(error)}
    except FailedError as error:
        line |= {"verdict": "error", "why": str(error)}
    except (OSError, http.client.HTTPException) as error:
        line |= {"verdict": "error", "why": type(error).__name__}
    return {**line, "end": round(time.time(), 3)}


def main(address: str, model: str, threads: int = 3, words: int = 20) -> None:
    """Ask until the pod is deleted."""
    url = urllib.parse.urlsplit(address)

    def forever(thread: int) -> None:
        number = 0
        while True:
            number += 1
            line = one(url, model, f"t{thread}n{number}", words)
            print(json.dumps(line), flush=True)
            time.sleep(PAUSE if line["verdict"] == "right" else 4 * PAUSE)

    for thread in range(threads):
        threading.Thread(target=forever, args=[thread], daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5]))
