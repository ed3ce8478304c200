"""hf-mem's own command line, with huggingface.co replaced by the address of HF_ENDPOINT; runs in hf-mem's environment.

hf-mem names the hub in its source and has no switch for it. Nothing else of it is changed.
"""

import os
import sys
from importlib import import_module
from typing import Any

HUB = "https://huggingface.co"


def main() -> None:
    """Rewrite every request's address, then call hf-mem."""
    endpoint = os.environ["HF_ENDPOINT"]
    client = import_module("httpx2").AsyncClient
    plain = client.build_request

    def build_request(self: Any, method: str, url: Any, **options: Any) -> Any:
        return plain(self, method, str(url).replace(HUB, endpoint, 1), **options)

    client.build_request = build_request
    sys.argv[0] = "hf-mem"
    import_module("hf_mem.cli").main()


if __name__ == "__main__":
    main()
