"""Where the project is published: the one place to change in a fork, and before the first release.

The addresses lie below example.com, which RFC 2606 reserves, because the project has no public home yet: a made-up
name at a real registry could be taken by anybody. `make release` refuses to go on until they are set.
"""

import os
import shlex
from pathlib import Path

from llm_serving_planner.base.version import __version__

SOURCE = "https://git.example.com/llm-serving"
CHARTS = "oci://registry.example.com/charts"
# Fingerprint and address of the public key that signs the chart: {"fingerprint": "40 hex digits", "url": "https://..."}
SIGN_KEY: dict[str, str] = {}


def find_chart(given: str | None = None) -> str:
    """The chart as `helm install` takes it: arguments, quoted for a shell.

    Args:
        given: OCI reference, package or folder, as the user named it. An `oci://` reference without a version gets
            this one's, because the values fit the chart of the same version.

    Without one: LLM_SERVING_CHART; else `charts/llm-serving` of the current folder (a clone); else the published chart.
    """
    chart = given or os.environ.get("LLM_SERVING_CHART")
    if chart is None:
        local = Path("charts") / "llm-serving"
        chart = str(local) if (local / "Chart.yaml").is_file() else f"{CHARTS}/llm-serving"
    pinned = not chart.startswith("oci://") or "@sha256:" in chart or ":" in chart.rsplit("/", 1)[-1]
    return shlex.quote(chart) if pinned else f"{shlex.quote(chart)} --version {__version__}"
