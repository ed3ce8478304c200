"""Read facts from where they are published, into the tables of the package.

`refresh vllm VERSION` takes the wheel from PyPI (pip download, some 340 MB, kept in build/vllm) and reads its Python
files; nothing of vLLM is imported, installed or copied. It writes the version's entries in data/vllm_flags.json,
data/vllm_support.json and data/metrics.json of the package, with today's date where something changed; flags only of
the newest version, or of a newer one. Gates and memory constants (data/engines.json) and formats
(data/quantization.json) are read by a person.

`catalogue` reads config.json files, see `catalogue --help`. The schemas of tests/data/schemas have commands of their
own: `python -m data.node_schemas`, `data.route_schemas` and `data.operation_schemas`.
"""

import argparse
import datetime as dt
import difflib
import sys
from pathlib import Path

from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.writing import write_text

from data import catalogue, vllm


def main() -> int:
    """Exit code: 0, 1 when `--check` found a difference, 2 for bad input."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="data", description=__doc__, formatter_class=formatter)
    commands = parser.add_subparsers(dest="command", required=True)
    refresh = commands.add_parser("refresh", help="what a version of vLLM has: flags, parsers, classes, metrics")
    refresh.add_argument("engine", choices=["vllm"])
    refresh.add_argument("version", metavar="VERSION")
    refresh.add_argument("--wheel", type=Path, metavar="FILE", help="read this wheel, ask no registry")
    made = commands.add_parser(
        "catalogue", help="models that are known offline", description=catalogue.__doc__, formatter_class=formatter
    )
    made.add_argument("--configs", type=Path, required=True, metavar="DIR")
    made.add_argument(
        "--facts", type=Path, default=catalogue.FACTS, metavar="CSV", help="default: tools/data/models.csv"
    )
    for command in (refresh, made):
        command.add_argument("--check", action="store_true", help="show what would change, write nothing")
    options = parser.parse_args()
    today = dt.datetime.now(dt.UTC).date().isoformat()
    try:
        if options.command == "refresh":
            with vllm.unpacked(options.wheel or vllm.download(options.version)) as package:
                found = vllm.refreshed(package, options.version, today)
        else:
            found = {catalogue.TARGET: catalogue.build(options.configs, options.facts, today)}
    except (InputError, OSError) as error:
        print(f"data: {error}", file=sys.stderr)
        return 2
    changed = {path: text for path, text in found.items() if path.read_text(encoding="utf-8") != text}
    for path, text in changed.items():
        old = path.read_text(encoding="utf-8").splitlines()
        print(*difflib.unified_diff(old, text.splitlines(), path.name, path.name, n=0, lineterm=""), sep="\n")
        if not options.check:
            write_text(path, text)
    print(f"{len(found) - len(changed)} of {len(found)} tables are as they were", file=sys.stderr)
    return 1 if changed and options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
