"""`make values`: write a values file, validate it, render the chart with it, say what comes next.

All options of `llm-serving values` are passed on.
"""

import sys
from pathlib import Path

from llm_serving_planner.base.documents import load_values
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.cli import main as command_line
from llm_serving_planner.cli.console import Exit

ROOT = Path(__file__).parent.parent


def render(path: Path) -> int:
    """Render the chart with a values file; the number of objects.

    Raises:
        InputError: the chart refuses the values.
    """
    from helm_python import Chart, HelmError

    try:
        manifests = Chart.load(str(ROOT / "charts" / "llm-serving")).render(load_values(path), name="check")
    except HelmError as error:
        raise InputError(f"{path}: the chart refuses it: {error}") from error
    return sum(1 for text in manifests.values() for part in text.split("\n---") if "\nkind:" in f"\n{part}")


def newest(folder: Path) -> Path:
    """The values file that was written last."""
    return max(folder.glob("*.yaml"), key=lambda path: path.stat().st_mtime_ns)


def main() -> int:
    """Exit code of `llm-serving values`, or 1 when the chart refuses the file."""
    folder = ROOT / "values"
    code = command_line.main(["values", *sys.argv[1:], "--catalog", str(folder / "catalog.yaml"), "-o", "values/"])
    if code != Exit.OK or "--check" in sys.argv:
        return code
    path = newest(folder)
    try:
        print(f"valid, and the chart renders it to {render(path)} objects", file=sys.stderr)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.REFUSED
    return Exit.OK


if __name__ == "__main__":
    raise SystemExit(main())
