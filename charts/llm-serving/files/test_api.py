"""`helm test`: list the models, complete a text, stream a chat; the standard library only."""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

BASE = os.environ["BASE_URL"].rstrip("/")
MODEL = os.environ["MODEL"]
CONTEXT = ssl.create_default_context(cafile=os.environ["CA_FILE"]) if os.environ.get("CA_FILE") else None
DEADLINE = time.monotonic() + float(os.environ.get("DEADLINE_SECONDS", "60"))


def call(path, body=None):
    """Open a request; the response object."""
    headers = {"Content-Type": "application/json"}
    if os.environ.get("API_KEY"):
        headers["Authorization"] = "Bearer " + os.environ["API_KEY"]
    data = None if body is None else json.dumps(body).encode()
    return urllib.request.urlopen(urllib.request.Request(BASE + path, data, headers), timeout=120, context=CONTEXT)


def fail(text):
    """Say what failed, in one line."""
    print("FAILED:", text)
    sys.exit(1)


def wait_until_ready():
    """Ask /health until it answers 200, at most until the deadline."""
    last = "no answer"
    while time.monotonic() < DEADLINE:
        try:
            with call("/health"):
                return
        except urllib.error.HTTPError as error:
            last = f"HTTP {error.code}"
        except OSError as error:
            last = str(error)
        time.sleep(2)
    fail(f"{BASE}/health is not ready before the deadline: {last}")


def check_models():
    """The served name is on offer."""
    with call("/v1/models") as response:
        names = [entry["id"] for entry in json.load(response)["data"]]
    if MODEL not in names:
        fail(f"{MODEL} is not served; the engine offers {names}")
    print("models:", names)


def check_completion():
    """A completion gives text."""
    with call("/v1/completions", {"model": MODEL, "prompt": "Hello", "max_tokens": 8}) as response:
        answer = json.load(response)
    if not isinstance(answer["choices"][0]["text"], str):
        fail("the completion holds no text")
    print("completion:", repr(answer["choices"][0]["text"]))


def check_chat():
    """A streamed chat brings chunks and ends with [DONE]. A model without chat template is told, not failed."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "stream": True}
    try:
        with call("/v1/chat/completions", body) as response:
            lines = [line.decode().strip() for line in response]
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        if error.code == 400 and "chat template" in text:
            print("chat: the model has no chat template; only completions are served")
            return
        raise
    chunks = [line[6:] for line in lines if line.startswith("data: ")]
    if not chunks or chunks[-1] != "[DONE]":
        fail(f"the stream does not end with [DONE]: {chunks[-1:]}")
    for chunk in chunks[:-1]:
        json.loads(chunk)
    print("chat:", len(chunks) - 1, "chunks, then [DONE]")


if __name__ == "__main__":
    wait_until_ready()
    try:
        check_models()
        check_completion()
        check_chat()
    except urllib.error.HTTPError as error:
        fail(f"{error.url}: HTTP {error.code}: {error.read().decode(errors='replace')[:200]}")
    except (OSError, KeyError, IndexError, ValueError) as error:
        fail(f"{type(error).__name__}: {error}")
    print("OK")
