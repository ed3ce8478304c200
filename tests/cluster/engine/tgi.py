"""Stand-in for TGI: its launcher's flags in, the same OpenAI API out as the stand-in for vLLM.

What it keeps of the real one (launcher/src/main.rs of TGI v3.3.7): words with blanks are split by its entry point, an
unknown flag ends it with code 2, contradicting limits and a sharding of one shard are refused, it answers under
--model-id, and SIGTERM lets running answers end within --graceful-termination-timeout.
"""

import argparse
import sys

import engine

WORDS = (
    "model-id", "revision", "hostname", "port", "sharded", "num-shard", "quantize", "dtype", "kv-cache-dtype",
    "max-concurrent-requests", "max-input-tokens", "max-total-tokens", "max-batch-prefill-tokens", "cuda-graphs",
    "cuda-memory-fraction", "graceful-termination-timeout", "usage-stats", "cors-allow-origin",
)  # fmt: skip


def arguments():
    """The launcher's command line, as the stand-in for vLLM names it."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for word in WORDS:
        parser.add_argument(f"--{word}")
    parser.set_defaults(max_input_tokens="4095", max_total_tokens="4096")  # the real one takes the model's own
    parser.add_argument("--trust-remote-code", action="store_true")
    given = parser.parse_args([word for argument in sys.argv[1:] for word in argument.split()])
    if given.sharded == "true" and int(given.num_shard or 0) <= 1:
        sys.exit("`sharded` is true but `num_shard` is <= 1")
    if int(given.max_input_tokens) >= int(given.max_total_tokens):
        sys.exit("`max_input_tokens` must be < `max_total_tokens`")
    given.served_model_name, given.max_model_len, given.host = given.model_id, given.max_total_tokens, given.hostname
    given.model = given.model_id
    given.shutdown_timeout = given.graceful_termination_timeout
    given.headless = given.distributed_executor_backend = given.nnodes = given.data_parallel_size = None
    given.ssl_certfile = given.ssl_keyfile = None  # TGI speaks no TLS
    return given


if __name__ == "__main__":
    engine.WRITABLE = ("HOME", "HF_HOME", "XDG_CACHE_HOME", "TRITON_CACHE_DIR")
    engine.main(arguments())
