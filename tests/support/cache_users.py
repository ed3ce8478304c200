"""Processes that share one cache of huggingface_hub: a pod that runs download.py, and whoever downloads by itself.

They are forked from a process that has loaded this module, so that each is there within milliseconds.
"""

import os
import sys

from huggingface_hub import constants, snapshot_download
from huggingface_hub import file_download as _loaded_too  # noqa: F401 - otherwise on first use
from supervisor import download

SECONDS = 60.0  # for all of them to finish; one alone takes two


def pod(url: str, home: str, model: str, revision: str, link: str) -> None:
    """A container that runs download.py."""
    os.environ |= {"DOWNLOAD_MODEL": model, "DOWNLOAD_REVISION": revision, "DOWNLOAD_CACHE": f"{home}/hub"}
    os.environ |= {"DOWNLOAD_SECONDS": str(SECONDS), "DOWNLOAD_PAUSE_SECONDS": "0.1", "DOWNLOAD_LINK": link}
    _environment(url, home)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - it dies with the process
    os._exit(download.main(["fetch"]))


def plain(url: str, home: str, model: str, revision: str, _: str) -> None:
    """An engine that downloads by itself, or a person's `hf download`."""
    _environment(url, home)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - it dies with the process
    try:
        snapshot_download(model, revision=revision, cache_dir=f"{home}/hub")
    except Exception:  # noqa: BLE001 - its container is started again
        os._exit(1)
    os._exit(0)


def _environment(url: str, home: str) -> None:
    """What huggingface_hub read when it was loaded, set again for this process."""
    constants.ENDPOINT, constants.HF_HUB_DISABLE_TELEMETRY = url, True
    constants.HUGGINGFACE_CO_URL_TEMPLATE = url + "/{repo_id}/resolve/{revision}/{filename}"
    constants.HF_HUB_DISABLE_PROGRESS_BARS = True
    os.environ["HF_HOME"] = home
