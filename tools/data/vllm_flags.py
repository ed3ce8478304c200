"""Write the engine's flag table from a dump of vLLM's real argument parsers.

    python tools/import_engine_flags.py vllm_args.json

Kept per flag: since which compared release it is there without a gap, until which release it was there
(removed flags), and the kind of its value. Everything else of the dump stays outside.
"""

import json
import sys
from pathlib import Path

TARGET = Path(__file__).parent.parent / "generator" / "llm_serving_planner" / "data" / "vllm_flags.json"


def kind_of(text: str) -> str:
    """Kind of value, as the planner and the tests check it."""
    for prefix in ("bool", "int", "float", "json"):
        if text.startswith(prefix):
            return prefix
    return "str"


def main() -> None:
    """Read the dump, write the table."""
    dump = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    flags: dict[str, dict[str, str | None]] = {}
    for argument in dump["args"]:
        if argument["name"].startswith("--"):
            flags[argument["name"][2:]] = {
                "from": argument["present_from"],
                "kind": kind_of(argument["type"]),
            }
    for argument in dump["removed"]:
        flags.setdefault(argument["name"][2:], {"from": None, "until": argument["last_seen"], "kind": "str"})
    lines = [f"    {json.dumps(name)}: {json.dumps(flags[name])}" for name in sorted(flags)]
    TARGET.write_text(
        '{\n  "_generated": "by tools/import_engine_flags.py; do not edit",\n'
        f'  "source": {json.dumps(dump["source"])},\n  "date": "2026-11-22",\n'
        f'  "newest": {json.dumps(dump["vllm_version"])},\n'
        f'  "versions_compared": {json.dumps(dump["versions_compared"])},\n'
        '  "flags": {\n' + ",\n".join(lines) + "\n  }\n}\n",
        encoding="utf-8",
    )
    print(f"{len(flags)} flags", file=sys.stderr)


if __name__ == "__main__":
    main()
