# Made by `make generate` from generator/supervisor/make_secret.py; change that file.
"""Make the secret of a group once: a random number in a Secret of this namespace. The standard library only.

    make_secret.py NAME KEY

It runs as a Helm hook with an account that may create Secrets, and nothing else: it reads none, not even its own. One
that is there already is left as it is, so that upgrades, GitOps and a second run change nothing.

Exit codes: 0 made, or there already; 1 the API server refuses or does not answer; 2 a wrong command line.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from bounded import clean, end_on_signals, leave, within

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SECONDS = 30.0
ANSWER_BYTES = 1 << 16


def manifest(name: str, key: str) -> dict[str, Any]:
    """The Secret, with 32 random bytes."""
    value = base64.b64encode(secrets.token_hex(32).encode()).decode()
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": {key: value}}


def create(server: str, document: dict[str, Any]) -> tuple[int, str]:
    """Status and text of the API server's answer; raises OSError where there is none."""
    namespace = (ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    headers = {
        "Authorization": "Bearer " + (ACCOUNT / "token").read_text(encoding="utf-8").strip(),
        "Content-Type": "application/json",
    }
    url = f"{server}/api/v1/namespaces/{namespace}/secrets"
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)  # noqa: S310 - the kubelet's address
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=SECONDS) as response:
            return response.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, clean(error.read(ANSWER_BYTES).decode(errors="replace"))


def main(words: list[str]) -> int:
    """Make it; the exit code."""
    parser = argparse.ArgumentParser(prog="make_secret.py", allow_abbrev=False)
    parser.add_argument("name")
    parser.add_argument("key")
    options = parser.parse_args(words)
    end_on_signals()
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    try:
        status, text = within(lambda: create(server, manifest(options.name, options.key)), SECONDS)
    except (OSError, ValueError) as error:
        print("group secret: the API server does not answer:", clean(error) or type(error).__name__, flush=True)
        return 1
    if status not in {200, 201, 409}:
        print(f"group secret: the API server says {status}: {text}", flush=True)
        return 1
    print("group secret:", options.name, "is there already" if status == 409 else "is made", flush=True)
    return 0


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
