"""data/metrics.json, key `vllm`: which metrics each version of vLLM exports; no name is typed by hand.

TGI's and TGIS's lists in the same file are transcribed by hand: these engines are frozen.
"""

import ast
from pathlib import Path

LOGGERS = "v1/metrics/loggers.py"
KINDS = {"gauge": "gauge", "counter": "counter", "histogram": "histogram"}


def read(package: Path) -> dict[str, str]:
    """Metrics by name, with their kind: every call of a Gauge, Counter or Histogram with a name.

    Counters get `_total`, which prometheus_client adds to what is exported.

    Args:
        package: folder of the package `vllm`.

    Raises:
        FileNotFoundError: the package has another layout.
    """
    found = {}
    for node in ast.walk(ast.parse((package / LOGGERS).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func).lower()
        kind = next((kind for word, kind in KINDS.items() if word in called), None)
        names = [word.value for word in node.keywords if word.arg == "name" and isinstance(word.value, ast.Constant)]
        if kind and names and str(names[0].value).startswith("vllm:"):
            name = str(names[0].value)
            found[name + "_total" if kind == "counter" and not name.endswith("_total") else name] = kind
    return dict(sorted(found.items()))
