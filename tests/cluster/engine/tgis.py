#!/usr/bin/env python3
"""Stand-in for TGIS where there is no GPU: its environment in, its two ports out, no model.

What it keeps of the real one (launcher/src/main.rs and router/src of opendatahub-io/text-generation-inference at
1db8cf0, 2026-11-25): contradicting variables end it with code 101 and a line in /dev/termination-log; MODEL_NAME is a
folder or lies in the cache, nothing is downloaded; both ports refuse connections until the model is "loaded"
(STANDIN_LOAD_SECONDS); limits are refused in its words; SIGTERM lets running answers end.

Called text-generation-server, it is the other program of the image: `download-weights MODEL` fills the cache.
"""

import argparse
import concurrent.futures
import contextlib
import http.server
import json
import os
import pathlib
import signal
import sys
import threading
import time

COMMIT = "0" * 40
PANIC = 101  # exit code of a Rust program that panics
DTYPES = {"float32", "float16", "bfloat16", "int8"}  # attributes of torch: server/.../utils/dist.py:63; no "auto"
COUNTS = {"requests": 0, "failures": 0}
LIMITS = {}


def panic(text):
    """End as the launcher does."""
    with contextlib.suppress(OSError):
        pathlib.Path("/dev/termination-log").write_text(text + "\n")
    print("panicked:", text, file=sys.stderr, flush=True)
    raise SystemExit(PANIC)


def number(name, default):
    """A variable that must be a number above zero."""
    text = os.environ.get(name, str(default))
    if not text.isdigit() or int(text) < 1:
        panic(f"{name} must be a positive integer, not {text!r}")
    return int(text)


def cache():
    """The folder of the cache; the old names are taken too, but must not contradict."""
    chosen = None
    for name in ("HF_HUB_CACHE", "TRANSFORMERS_CACHE", "HUGGINGFACE_HUB_CACHE"):
        value = os.environ.get(name)
        if value is None:
            continue
        if chosen and value != chosen[1]:
            panic(f"{name} and {chosen[0]} env vars can't be set to different values")
        chosen = chosen or (name, value)
    if chosen:
        return pathlib.Path(chosen[1])
    home = pathlib.Path(os.environ.get("HF_HOME") or pathlib.Path(os.environ.get("HOME", "/"), ".cache/huggingface"))
    return home / "hub"


def shards():
    """Number of GPUs that share the model."""
    given = [number(name, 1) for name in ("NUM_GPUS", "NUM_SHARD") if name in os.environ]
    if len(set(given)) > 1:
        panic(f"NUM_GPUS and num_shard are set to different values ({given[0]} and {given[1]})")
    if given:
        return given[0]
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", os.environ.get("NVIDIA_VISIBLE_DEVICES"))
    return len(devices.split(",")) if devices is not None else 1


def config():
    """The model's config.json, out of the cache or a folder."""
    name = os.environ.get("MODEL_NAME", "bigscience/bloom-560m")
    folder = cache() / ("models--" + name.replace("/", "--"))
    if folder.exists():
        revision = os.environ.get("REVISION", "main")
        reference = folder / "refs" / revision
        revision = reference.read_text() if reference.exists() else revision
        path = folder / "snapshots" / revision / "config.json"
        if not path.exists():
            panic(f"Config file not found in local cache for model {name}, revision {revision}")
    else:
        path = pathlib.Path(name) / "config.json"
        if not path.exists():
            panic(f"Failed to resolve config path: Model {name} not found")
    return name, json.loads(path.read_text())


def check_environment():
    """What kills the launcher must kill this one; fills LIMITS."""
    dtypes = {value for name in ("DTYPE", "DTYPE_STR") if (value := os.environ.get(name)) is not None}
    if len(dtypes) > 1:
        panic("dtype and dtype_str args both provided with different values")
    if dtypes - DTYPES:
        panic(f"dtype {dtypes.pop()!r} is none of {sorted(DTYPES)}")
    if not 0 < float(os.environ.get("CUDA_PROCESS_MEMORY_FRACTION", "1.0")) <= 1:
        panic("cuda_process_memory_fraction must be in range 0 < x <= 1")
    if "TLS_CERT_PATH" in os.environ:
        panic("the stand-in has no TLS")
    count = shards()
    name, facts = config()
    known = next(
        (facts[key] for key in ("max_position_embeddings", "n_positions", "max_seq_len") if key in facts), 2048
    )
    LIMITS["sequence"] = number("MAX_SEQUENCE_LENGTH", known)
    LIMITS["new"] = number("MAX_NEW_TOKENS", 1024)
    LIMITS["concurrent"] = threading.Semaphore(number("MAX_CONCURRENT_REQUESTS", 512))
    for folder in (os.environ.get("HOME", "/"), pathlib.Path(os.environ.get("SHARD_UDS_PATH", "/tmp/x")).parent):
        pathlib.Path(folder, ".write-test").write_text("x")
    shm = os.statvfs("/dev/shm")
    if count > 1 and shm.f_frsize * shm.f_blocks <= 64 * 2**20:
        panic("Encountered SIGBUS error. This is usually caused by NCCL having insufficient shared memory.")
    return name, count


def varint(value):
    """A number of protobuf."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def pack(fields):
    """A message of protobuf from (number, int or text or bytes) pairs."""
    out = b""
    for key, given in fields:
        value = given.encode() if isinstance(given, str) else given
        if isinstance(value, int):
            out += varint(key << 3) + varint(value)
        else:
            out += varint(key << 3 | 2) + varint(len(value)) + value
    return out


def unpack(message):
    """Fields of a message of protobuf, each a list of int or bytes."""
    found, at = {}, 0

    def read():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte, at = message[at], at + 1
            value, shift = value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = read()
        if key & 7 == 0:
            value = read()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or read()
            value, at = message[at : at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


def plan(request, prompts, context):
    """New tokens that each prompt gets and how many it has, or the refusals of TGIS's validation."""
    import grpc

    stopping = unpack(unpack(request.get(10, [b""])[0]).get(3, [b""])[0])
    wanted = stopping.get(1, [0])[0] or 20
    if wanted > LIMITS["new"]:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"max_new_tokens must be <= {LIMITS['new']}")
    lengths = [len(unpack(prompt).get(2, [b""])[0].split()) for prompt in prompts]
    for length in lengths:
        if length >= LIMITS["sequence"]:
            text = f"input tokens ({length}) plus prefix length (0) must be < {LIMITS['sequence']}"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
    return [(length, min(wanted, LIMITS["sequence"] - length)) for length in lengths]


@contextlib.contextmanager
def permit(context):
    """A place among the running requests."""
    import grpc

    COUNTS["requests"] += 1
    if not LIMITS["concurrent"].acquire(blocking=False):
        COUNTS["failures"] += 1
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Model is overloaded")
    try:
        yield
    finally:
        LIMITS["concurrent"].release()


def generate(request, context):
    """The whole answer: a fixed text."""
    with permit(context):
        prompts = request.get(3, [])
        answers = []
        for length, count in plan(request, prompts, context):
            answers.append(pack([(2, count), (4, " ".join(["word"] * count)), (6, length), (7, 1)]))
        return pack([(1, answer) for answer in answers])


def generate_stream(request, context):
    """The same, word by word; the first message holds the length of the prompt alone."""
    with permit(context):
        ((length, count),) = plan(request, request.get(3, [b""])[:1], context)
        yield pack([(6, length)])
        for done in range(1, count + 1):
            time.sleep(float(os.environ.get("STANDIN_TOKEN_SECONDS", "0.01")))
            yield pack([(2, done), (4, "word" if done == 1 else " word"), *([(7, 1)] if done == count else [])])


def tokenize(request, _):
    """Words are tokens."""
    texts = [unpack(one).get(1, [b""])[0] for one in request.get(2, [])]
    return pack([(1, pack([(1, len(text.split()))])) for text in texts])


def model_info(_, __):
    """The limits."""
    return pack([(2, LIMITS["sequence"]), (3, LIMITS["new"])])


def grpc_server(port):
    """The gRPC side, begun."""
    import grpc

    methods = {"Generate": generate, "Tokenize": tokenize, "ModelInfo": model_info}
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(method, request_deserializer=unpack)
        for name, method in methods.items()
    }
    handlers["GenerateStream"] = grpc.unary_stream_rpc_method_handler(generate_stream, request_deserializer=unpack)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("fmaas.GenerationService", handlers),))
    server.add_insecure_port(f"0.0.0.0:{port}")
    server.start()
    return server


class Handler(http.server.BaseHTTPRequestHandler):
    """The HTTP side: health and metrics, nothing else."""

    def log_message(self, *_):
        """No log per request."""

    def do_GET(self):
        """Answer."""
        text = "" if self.path == "/health" else None
        if self.path == "/metrics":
            text = f'tgi_request_count{{kind="stream"}} {COUNTS["requests"]}\n'
            text += f'tgi_request_failure{{err="conc_limit"}} {COUNTS["failures"]}\n'
        self.send_response(404 if text is None else 200)
        self.send_header("Content-Length", str(len(text or "")))
        self.end_headers()
        self.wfile.write((text or "").encode())


def launcher():
    """Load, serve, drain."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    name, count = check_environment()
    if stop.wait(float(os.environ.get("STANDIN_LOAD_SECONDS", "3"))):
        return
    calls = grpc_server(number("GRPC_PORT", 8033))
    server = http.server.ThreadingHTTPServer(("0.0.0.0", number("PORT", 3000)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("serving", name, "num_shard", count, "max_sequence_length", LIMITS["sequence"], flush=True)
    stop.wait()
    server.shutdown()
    calls.stop(grace=30).wait()
    print("stopped", flush=True)


def download(words):
    """The cache as `download-weights MODEL` would leave it, without weights; a commit as revision has no reference."""
    parser = argparse.ArgumentParser(prog="text-generation-server", allow_abbrev=False)
    parser.add_argument("command", choices=("download-weights", "convert-to-safetensors", "convert-to-fast-tokenizer"))
    parser.add_argument("model")
    parser.add_argument("--revision", default="main")
    parser.add_argument("--token")
    parser.add_argument("--extension")
    parser.add_argument("--no-auto-convert", action="store_true")
    options = parser.parse_args(words)
    if options.command == "download-weights":
        folder = cache() / ("models--" + options.model.replace("/", "--"))
        pinned = len(options.revision) == len(COMMIT)
        snapshot = folder / "snapshots" / (options.revision if pinned else COMMIT)
        snapshot.mkdir(parents=True, exist_ok=True)
        (folder / "refs").mkdir(exist_ok=True)
        if not pinned:
            (folder / "refs" / options.revision).write_text(COMMIT)
        (snapshot / "config.json").write_text(json.dumps({"max_position_embeddings": 4096}))
        (snapshot / "tokenizer.json").write_text("{}")
    print("done:", options.command, options.model, flush=True)


if __name__ == "__main__":
    if pathlib.Path(sys.argv[0]).name == "text-generation-server":
        download(sys.argv[1:])
    else:
        launcher()
