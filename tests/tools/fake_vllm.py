"""A `vllm` for tests of measure.calibrate: prints a start, answers, and ends as the flags say. No GPU, no model.

`--model-behaviour`: ok (default), no-room (fails as a full GPU does), silent (never becomes healthy).
"""

import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

LOG = """\
(APIServer pid=1) INFO 11-25 04:00:00 [api_server.py:1] vLLM API server version 0.25.1
(Worker_TP0 pid=2) INFO 11-25 04:00:10 [model_runner.py:1] Model loading took 3.50 GiB and 8.5 seconds
(Worker_TP1 pid=3) INFO 11-25 04:00:10 [model_runner.py:1] Model loading took 3.60 GiB and 8.0 seconds
(Worker_TP0 pid=2) INFO 11-25 04:00:20 [gpu_worker.py:1] Available KV cache memory: 9.10 GiB
(Worker_TP1 pid=3) INFO 11-25 04:00:20 [gpu_worker.py:1] Available KV cache memory: 9.00 GiB
(EngineCore pid=4) INFO 11-25 04:00:20 [kv_cache_utils.py:1] GPU KV cache size: 147,456 tokens
(EngineCore pid=4) INFO 11-25 04:00:20 [kv_cache_utils.py:1] Maximum concurrency for 8,192 tokens per request: 18.00x
"""


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        for number in range(asked["max_tokens"]):
            self.wfile.write(b"data: {}\n\n")
            self.wfile.flush()
            time.sleep(0.05 if number > 100 else 0)
        self.wfile.write(b"data: [DONE]\n\n")


def main() -> None:
    words = sys.argv[1:]
    if words == ["--version"]:
        print("0.25.1")
        return
    if words[0] == "VLLM::Worker_TP0":
        time.sleep(600)
    behaviour = words[words.index("--model-behaviour") + 1] if "--model-behaviour" in words else "ok"
    assert (pathlib.Path(words[1]) / "tokenizer.json").exists()
    assert "--load-format" in words
    print(LOG, flush=True)
    if behaviour == "no-room":
        print("(EngineCore pid=4) ERROR ValueError: No available memory for the cache blocks. Try", flush=True)
        sys.exit(1)
    if behaviour == "silent":
        time.sleep(600)
    worker = subprocess.Popen([sys.executable, __file__, "VLLM::Worker_TP0"])

    def stop(*_: object) -> None:
        worker.kill()
        os._exit(0)

    def watch() -> None:
        worker.wait()
        os._exit(7)

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=watch, daemon=True).start()
    if "--headless" in words:
        time.sleep(600)
    port = int(words[words.index("--port") + 1])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


main()
