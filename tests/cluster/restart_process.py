"""Restart one process of this machine: LLM_SERVING_RESTART_API_SERVER of clusters whose API server is one.

python tests/cluster/restart_process.py PIDFILE

The process ends by SIGTERM, or by SIGKILL where that takes longer than a kubelet lets it, and begins again with its own
arguments, environment, log and network namespace (which needs nsenter, and root); its new id goes into the file.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_GRACE_SECONDS = 30  # terminationGracePeriodSeconds of a pod that names none, as the API server of kubeadm and kind


def _runs(process: Path) -> bool:
    try:
        return b"\nState:\tZ" not in (process / "status").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def main() -> int:
    """0 once the new process runs; its cluster may need longer until it answers."""
    file = Path(sys.argv[1])
    pid = int(file.read_text(encoding="utf-8"))
    process = Path(f"/proc/{pid}")
    words = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    variables = dict(entry.split(b"=", 1) for entry in (process / "environ").read_bytes().split(b"\0") if b"=" in entry)
    network = os.open(process / "ns" / "net", os.O_RDONLY)
    with (process / "fd" / "1").open("ab") as log:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        while _runs(process):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        started = subprocess.Popen(
            ["nsenter", f"--net=/proc/self/fd/{network}", *words],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables, pass_fds=[network], start_new_session=True,
        )  # fmt: skip
    file.write_text(str(started.pid), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
