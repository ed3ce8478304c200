"""`helm test`: list the models, then complete a text and stream a chat, or ask for vectors or scores (TASK).

NAMES holds further names that must be on offer (aliases, LoRA adapters), the last ADAPTERS of them adapters, which are
asked for a text too. The standard library only.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

BASE = os.environ["BASE_URL"].rstrip("/")
MODEL = os.environ["MODEL"]
TASK = os.environ.get("TASK", "generate")
NAMES = json.loads(os.environ.get("NAMES", "[]"))
ADAPTERS = NAMES[len(NAMES) - int(os.environ.get("ADAPTERS", "0")) :]
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
    """The served names are on offer."""
    with call("/v1/models") as response:
        names = [entry["id"] for entry in json.load(response)["data"]]
    for name in [MODEL, *NAMES]:
        if name not in names:
            fail(f"{name} is not served; the engine offers {names}")
    print("models:", names)


def check_completion(model):
    """A completion gives text."""
    with call("/v1/completions", {"model": model, "prompt": "Hello", "max_tokens": 8}) as response:
        answer = json.load(response)
    if not isinstance(answer["choices"][0]["text"], str):
        fail("the completion holds no text")
    print("completion:" if model == MODEL else f"completion of {model}:", repr(answer["choices"][0]["text"]))


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


def ask(path, body):
    """The JSON answer to a request."""
    with call(path, {"model": MODEL, **body}) as response:
        return json.load(response)


def numbers(values):
    """Whether a list holds numbers, and at least one."""
    return bool(values) and all(isinstance(value, int | float) for value in values)


def check_embed():
    """Two texts give two vectors of one length."""
    data = ask("/v1/embeddings", {"input": ["Hello", "Good morning"]})["data"]
    vectors = [entry["embedding"] for entry in data]
    if len(vectors) != 2 or not all(map(numbers, vectors)) or len({len(vector) for vector in vectors}) != 1:
        fail(f"two vectors of one length are expected, {[len(vector) for vector in vectors]} came")
    print("embeddings: 2 vectors of", len(vectors[0]))


def check_rerank():
    """Every document gets a score."""
    documents = ["Paris is a city.", "Bread is food."]
    results = ask("/v1/rerank", {"query": "Which city?", "documents": documents})["results"]
    scores = [entry["relevance_score"] for entry in results]
    if len(scores) != len(documents) or not numbers(scores):
        fail(f"{len(documents)} scores are expected: {results}")
    print("rerank:", len(scores), "scores")


def check_classify():
    """A text gets probabilities."""
    probabilities = ask("/classify", {"input": "Hello"})["data"][0]["probs"]
    if not numbers(probabilities):
        fail(f"the classes have no probabilities: {probabilities}")
    print("classify:", len(probabilities), "classes")


def check_pooling():
    """A text gives data of some shape."""
    data = ask("/pooling", {"input": "Hello"})["data"][0]["data"]
    if not data:
        fail("the pooler gives nothing")
    print("pooling:", len(data), "values")


def check_generate():
    """Text from the model and each adapter, a chat from the model."""
    for name in [MODEL, *ADAPTERS]:
        check_completion(name)
    check_chat()


CHECKS = {
    "generate": check_generate,
    "embed": check_embed,
    "rerank": check_rerank,
    "classify": check_classify,
    "pooling": check_pooling,
}

if __name__ == "__main__":
    wait_until_ready()
    try:
        check_models()
        CHECKS[TASK]()
    except urllib.error.HTTPError as error:
        fail(f"{error.url}: HTTP {error.code}: {error.read().decode(errors='replace')[:200]}")
    except (OSError, KeyError, IndexError, ValueError) as error:
        fail(f"{type(error).__name__}: {error}")
    print("OK")
