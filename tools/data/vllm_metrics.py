"""Read which metrics each release of vLLM exports, from its own source: the names in metrics.json are never typed.

python tools/import_metrics.py VERSION=vllm/v1/metrics/loggers.py ...

The files come from the source distributions on PyPI (`pip download --no-deps --no-binary :all: vllm==0.33.0`). Written
is the key `vllm` of data/metrics.json of the package; TGI's and TGIS's lists in it are transcribed by hand.
"""

import ast
import json
import sys
from pathlib import Path

FILE = Path(__file__).parent.parent / "generator" / "llm_serving_planner" / "data" / "metrics.json"
KINDS = {"gauge": "gauge", "counter": "counter", "histogram": "histogram"}


def exported(source: str) -> dict[str, str]:
    """Metrics by name, with their kind: every call of a Gauge, Counter or Histogram with a name.

    Counters get `_total`, which prometheus_client adds to what is exported.
    """
    found = {}
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func).lower()
        kind = next((kind for word, kind in KINDS.items() if word in called), None)
        names = [word.value for word in node.keywords if word.arg == "name" and isinstance(word.value, ast.Constant)]
        if kind and names and str(names[0].value).startswith("vllm:"):
            name = str(names[0].value)
            found[name + "_total" if kind == "counter" and not name.endswith("_total") else name] = kind
    return dict(sorted(found.items()))


def main() -> None:
    """Read the given files, write the table."""
    data = json.loads(FILE.read_text(encoding="utf-8"))
    for argument in sys.argv[1:]:
        version, path = argument.split("=", 1)
        data["vllm"]["versions"][version] = exported(Path(path).read_text(encoding="utf-8"))
    versions = data["vllm"]["versions"]
    order = sorted(versions, key=lambda text: tuple(int(part) for part in text.split(".")))
    data["vllm"]["versions"] = {version: versions[version] for version in order}
    FILE.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
