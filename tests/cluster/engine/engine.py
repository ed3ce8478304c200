"""Stand-in for vLLM where there is no GPU: same flags in, same endpoints out, no model.

What it keeps of the real engine: an unknown flag ends it with code 2; the port refuses connections until the model
is "loaded" (STANDIN_LOAD_SECONDS); the folders that the environment names must be writable; /dev/shm must be larger
than the container default; SIGTERM lets running answers end within --shutdown-timeout. Over several nodes the leader
waits for its workers before it loads, and ends when one is gone (unless STANDIN_BLIND: an idle engine notices nothing);
a headless node has no API. Data parallel engines of other pods report to the leader's fixed port, each with its ranks,
and the leader serves when it has counted all of them. With Ray the workers are actors in a placement group over the
nodes. What is used beside plain generation (adapters, drafts, templates, pooling) is in use.py.

Answers are made of the request's own last word, so that nobody can take another's answer for theirs. Where HF_ENDPOINT
names a hub, the model is downloaded from it with the real client before it is "loaded". POST /standin brings faults:
{"do": "exit"}, {"do": "hang"} (accepts and never answers, deaf to SIGTERM), {"do": "allocate"} (past every limit),
{"do": "stall"} (a worker hangs: health and metrics answer, and show nothing of requests that came since).
"""

import argparse
import http.server
import json
import os
import pathlib
import signal
import socket
import ssl
import sys
import threading
import time

import use

FLAGS = {
    "--host", "--port", "--tensor-parallel-size", "--pipeline-parallel-size", "--revision",
    "--shutdown-timeout", "--disable-access-log-for-endpoints", "--dtype", "--gpu-memory-utilization",
    "--kv-cache-dtype", "--max-model-len", "--max-num-batched-tokens", "--max-num-seqs", "--quantization",
    "--nnodes", "--node-rank", "--master-addr", "--master-port", "--distributed-executor-backend",
    "--distributed-timeout-seconds", "--ssl-certfile", "--ssl-keyfile", "--load-format", "--sse-keep-alive-interval",
    "--allowed-origins", "--model-loader-extra-config", "--data-parallel-size", "--data-parallel-size-local",
    "--data-parallel-address", "--data-parallel-rpc-port", "--data-parallel-start-rank", "--api-server-count",
}  # fmt: skip
WRITABLE = ("HOME", "HF_HOME", "VLLM_CACHE_ROOT", "XDG_CACHE_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
STATE = {"running": 0, "stopping": False, "hung": False, "stalled": False, "tokens": 0}


def arguments():
    """The command line of `vllm serve`, as far as the chart uses it."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("model")
    for flag in sorted(FLAGS):
        parser.add_argument(flag)
    parser.set_defaults(max_model_len="32768")  # the real engine takes the model's own
    parser.add_argument("--served-model-name", nargs="+")
    use.add_arguments(parser)
    parser.add_argument("--enforce-eager", action="store_true")
    parser.add_argument("--trust-remote-code", action="store_true")
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--enable-ssl-refresh", action="store_true")
    parser.add_argument("--enable-expert-parallel", action="store_true")
    options = parser.parse_args()
    if options.headless and options.api_server_count:
        parser.error("--api-server-count cannot be used with --headless")
    return options


class Server(http.server.ThreadingHTTPServer):
    """As many waiting connections as uvicorn has."""

    request_queue_size = 2048
    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    """The endpoints of an OpenAI server."""

    protocol_version = "HTTP/1.1"
    options = None

    def log_message(self, *_):
        """No log per request."""

    def reply(self, status, document):
        """One JSON answer."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def event(self, data):
        """One server-sent event as one chunk: an answer that breaks off has no last chunk, which clients notice."""
        line = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

    def do_GET(self):
        """Health, models, and the settings that tests look at."""
        stay_if_hung()
        if self.path == "/health":
            self.reply(200, {})
        elif self.path == "/metrics":
            self.metrics()
        elif self.path == "/v1/models":
            length = int(self.options.max_model_len or 512)
            entries = [{"id": name, "object": "model", "max_model_len": length} for name in self.options.names]
            entries += [{"id": name, "object": "model", "root": path} for name, path in self.options.adapters.items()]
            self.reply(200, {"object": "list", "data": entries})
        else:
            self.reply(404, {"error": self.path})

    def metrics(self):
        """Some of the engine's figures, one series per data parallel engine as in the real one."""
        engines = range(int(self.options.data_parallel_size or 1))
        figures = {
            "vllm:num_requests_waiting": 0, "vllm:kv_cache_usage_perc": 0,
            "vllm:num_requests_running": 0 if STATE["stalled"] else STATE["running"],
            "vllm:generation_tokens_total": STATE["tokens"],
        }  # fmt: skip
        lines = [
            f'{name}{{engine="{engine}",model_name="{self.options.names[0]}"}} {value}'
            for name, value in figures.items() for engine in engines
        ]  # fmt: skip
        body = ("\n".join(lines) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        """Completions and chats, streamed where asked."""
        stay_if_hung()
        if self.path == "/standin":
            fault(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["do"])
            return
        key = os.environ.get("VLLM_API_KEY")
        if key and self.headers.get("Authorization") != "Bearer " + key:
            self.reply(401, {"error": "unauthorized"})
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body.get("model") not in (*self.options.names, *self.options.adapters):
            self.reply(404, {"error": f"no model {body.get('model')}"})
            return
        if STATE["stopping"]:
            self.reply(503, {"error": "the engine is shutting down"})
            return
        STATE["running"] += 1
        try:
            time.sleep(float(os.environ.get("STANDIN_FIRST_TOKEN_SECONDS", "0")))
            self.answer(body)
        finally:
            STATE["running"] -= 1

    def answer(self, body):
        """Vectors or scores where the engine pools; else max_tokens words, each the request's last one and a number."""
        if self.options.pools:
            self.reply(*use.pooled(self.path, body))
            return
        asked = body["messages"][-1]["content"] if "messages" in body else body.get("prompt", "")
        tag = (str(asked).split() or ["word"])[-1]
        words = [f"{tag}.{number}" for number in range(int(body.get("max_tokens", 4)))]
        while STATE["stalled"]:
            time.sleep(1)
        if not body.get("stream"):
            text = " ".join(words)
            STATE["tokens"] += len(words)
            choice = {"index": 0, "text": text, "message": {"role": "assistant", "content": text}}
            self.reply(200, {"model": body["model"], "choices": [choice]})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for word in words:
            self.event(json.dumps({"choices": [{"index": 0, "delta": {"content": word}}]}))
            STATE["tokens"] += 1
            while STATE["stalled"]:
                time.sleep(1)
            time.sleep(float(os.environ.get("STANDIN_TOKEN_SECONDS", "0.01")))
            stay_if_hung()
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")


def stay_if_hung():
    """A request that comes in the fault never gets an answer."""
    while STATE["hung"]:
        time.sleep(1)


def fault(kind):
    """Break as engines do."""
    print("fault:", kind, flush=True)
    if kind == "exit":
        os._exit(1)
    elif kind == "hang":
        STATE["hung"] = True
    elif kind == "stall":
        STATE["stalled"] = True
    elif kind == "allocate":
        hoard = []
        while True:
            hoard.append(b"\1" * 2**24)


def download(options):
    """The model into the cache, as the real engines do it where nobody did it before them."""
    if "HF_ENDPOINT" not in os.environ or os.environ.get("HF_HUB_OFFLINE") == "1":
        return
    import huggingface_hub

    print("downloading", options.model, flush=True)
    print("downloaded to", huggingface_hub.snapshot_download(options.model, revision=options.revision), flush=True)


def check_environment():
    """What kills the real engine must kill this one."""
    for name in WRITABLE:
        folder = pathlib.Path(os.environ[name])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".write-test").write_text("x")
    if os.environ.get("USER") is None or "VLLM_PORT" in os.environ:
        sys.exit("USER is unset, or VLLM_PORT is set")
    shm = os.statvfs("/dev/shm")
    if shm.f_frsize * shm.f_blocks <= 64 * 2**20:
        sys.exit("/dev/shm has the container's default size")


def workers_by_tcp(options, stop):
    """Leader: wait for every other node, then watch them. The sockets stay open as long as the node lives."""
    server = socket.create_server(("", int(options.master_port)))
    peers = [server.accept()[0] for _ in range(int(options.nnodes) - 1)]
    print(f"{len(peers)} other node(s) joined", flush=True)

    def watch(peer):
        peer.recv(1)
        if not stop.is_set() and not os.environ.get("STANDIN_BLIND"):
            print("a worker is gone: the engine ends", flush=True)
            os._exit(1)

    for peer in peers:
        threading.Thread(target=watch, args=[peer], daemon=True).start()


def headless(options, stop):
    """Worker: join the leader, run until told to stop; a dead leader goes unnoticed, as it may in the real engine."""
    while True:
        try:
            peer = socket.create_connection((options.master_addr, int(options.master_port)), timeout=5)
            break
        except OSError:
            time.sleep(0.2)
    print(f"node {options.node_rank} joined {options.master_addr}", flush=True)
    stop.wait()
    peer.close()


def ranks_of(options):
    """Data parallel ranks of this process: all of them where nothing else is said."""
    first = int(options.data_parallel_start_rank or 0)
    return list(range(first, first + int(options.data_parallel_size_local or options.data_parallel_size)))


def data_parallel(options, stop):
    """Leader: count the ranks of every pod on the fixed port, then watch the pods that brought them."""
    size, ranks = int(options.data_parallel_size), ranks_of(options)
    print(f"data parallel engines {ranks} of {size} are here", flush=True)
    if len(ranks) == size:
        return
    server = socket.create_server(("", int(options.data_parallel_rpc_port)))

    def watch(peer, brought):
        peer.recv(1)
        if not stop.is_set() and not os.environ.get("STANDIN_BLIND"):
            print(f"data parallel engines {brought} are gone: the engine ends", flush=True)
            os._exit(1)

    while len(ranks) < size:
        peer, _ = server.accept()
        brought = json.loads(peer.makefile().readline())
        if set(brought) & set(ranks):
            sys.exit(f"data parallel engines {brought} came twice")
        ranks += brought
        print(f"data parallel engines {brought} joined", flush=True)
        threading.Thread(target=watch, args=[peer, brought], daemon=True).start()


def data_parallel_headless(options, stop):
    """Engines without API: report to the leader, run until told to stop."""
    place = (options.data_parallel_address, int(options.data_parallel_rpc_port))
    while True:
        try:
            peer = socket.create_connection(place, timeout=5)
            break
        except OSError:
            time.sleep(0.2)
    peer.sendall(json.dumps(ranks_of(options)).encode() + b"\n")
    print(f"data parallel engines {ranks_of(options)} of {options.data_parallel_size} serve {place[0]}", flush=True)
    stop.wait()
    peer.close()


def workers_by_ray(options, stop):
    """A placement group with one GPU per rank and an actor in each bundle, as vLLM's Ray executor makes them."""
    import ray

    size = int(options.tensor_parallel_size) * int(options.pipeline_parallel_size or 1)
    ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
    group = ray.util.placement_group([{"GPU": 1}] * size, strategy="PACK")
    ray.get(group.ready(), timeout=60)

    @ray.remote(num_gpus=1, num_cpus=0)
    class Rank:
        def node(self):
            return ray.util.get_node_ip_address()

        def sleep(self):
            time.sleep(10**6)

    where = ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy
    ranks = [
        Rank.options(scheduling_strategy=where(group, placement_group_bundle_index=index)).remote()
        for index in range(size)
    ]
    nodes = ray.get([rank.node.remote() for rank in ranks], timeout=60)
    print(f"placement group of {size} bundles over {len(set(nodes))} nodes: {sorted(set(nodes))}", flush=True)

    def watch():
        ended, _ = ray.wait([rank.sleep.remote() for rank in ranks], num_returns=1)
        if ended and not stop.is_set():
            print("an actor is gone: the engine ends", flush=True)
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(options):
    """Gather, load, serve, drain."""
    check_environment()
    use.prepare(options)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if options.headless:
        (data_parallel_headless if options.data_parallel_size else headless)(options, stop)
        return
    if int(options.data_parallel_size or 1) > 1:
        data_parallel(options, stop)
    if options.distributed_executor_backend == "ray":
        workers_by_ray(options, stop)
    elif int(options.nnodes or 1) > 1:
        workers_by_tcp(options, stop)
    download(options)
    stop.wait(float(os.environ.get("STANDIN_LOAD_SECONDS", "3")))
    Handler.options = options
    server = Server((options.host, int(options.port)), Handler)
    if options.ssl_certfile:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.ssl_certfile, options.ssl_keyfile)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("serving", *options.names, *options.adapters, "max_model_len", options.max_model_len, flush=True)
    stop.wait()
    stay_if_hung()
    deadline = time.monotonic() + float(options.shutdown_timeout or 0)
    STATE["stopping"] = True
    while STATE["running"] and time.monotonic() < deadline:
        time.sleep(0.05)
    server.shutdown()
    print("stopped", flush=True)
    if options.distributed_executor_backend == "ray":
        os._exit(0)


if __name__ == "__main__":
    main(arguments())
