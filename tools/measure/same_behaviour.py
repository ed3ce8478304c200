"""Compare what two checkouts do: values files, renders, plans, messages. For a change that must keep behaviour.

python tools/measure/same_behaviour.py BEFORE [--allowed tools/measure/allowed.yaml]

BEFORE is another checkout with its own .venv, or what its `snapshot.py` printed. Both are asked by their own Python,
with `snapshot.py` beside this file: the committed values files, every render of the chart's ci files and of the values
files, the JSON of a plan (or the refusal; of a few pinned options too) for every model of the catalogue on every
profile, and every message in docs/troubleshooting.md. A difference is allowed when a pattern of the list meets its
key; the list says why.
"""

import argparse
import json
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent


def snapshot(tree: Path) -> dict[str, dict[str, str]]:
    """Digest or text by key, by section, as the tree's own code gives them.

    Raises:
        CalledProcessError: the tree cannot be asked.
    """
    if tree.is_file():
        saved: dict[str, dict[str, str]] = json.loads(tree.read_text(encoding="utf-8"))
        return saved
    command = [str(tree / ".venv" / "bin" / "python"), "-P", str(Path(__file__).parent / "snapshot.py"), str(tree)]
    done = subprocess.run(command, cwd=tree, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Keys that one of the two lacks or that hold something else."""
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def main() -> int:
    """Print one line per section; 1 when a difference is not allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("--allowed", type=Path, default=Path(__file__).parent / "allowed.yaml")
    parser.add_argument("--all", action="store_true", help="list the allowed differences too")
    arguments = parser.parse_args()
    before, after = snapshot(arguments.before.resolve()), snapshot(ROOT)
    allowed = yaml.safe_load(arguments.allowed.read_text(encoding="utf-8")) or []
    met: dict[str, int] = {entry["key"]: 0 for entry in allowed}
    code = 0
    for section in before:
        strange = []
        for key in differences(before[section], after[section]):
            entry = next((one for one in allowed if fnmatch(f"{section}/{key}", one["key"])), None)
            if entry is None:
                strange.append(key)
            else:
                met[entry["key"]] += 1
            if entry is None or arguments.all:
                print(f"  {section}/{key}\n    - {before[section].get(key)}\n    + {after[section].get(key)}")
        keys = before[section].keys() | after[section].keys()
        same = len(keys) - len(differences(before[section], after[section]))
        print(f"{section}: {same} of {len(keys)} equal, {len(strange)} not allowed")
        code = 1 if strange else code
    for entry in allowed:
        print(f"allowed: {entry['key']} ({met[entry['key']]} times): {entry['why']}")
    return code


if __name__ == "__main__":
    sys.exit(main())
