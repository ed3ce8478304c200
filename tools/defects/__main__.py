"""Plant defects, or mutate the planner.

python -m defects plant [NAME...]      all (and write docs/defects.md), or only the named
python -m defects mutants [MODULE...]  mutants of the memory model and the planner (and write docs/defects.md)

Exit codes: 0 every one caught (or explained), 1 something is not, 2 usage.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from defects import mutants, page, plant
from defects.tree import make_copy

ROOT = Path(__file__).parent.parent.parent


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def plant_command(names: list[str]) -> int:
    """Plant all defects or the named ones."""
    every = plant.load()
    unknown = set(names) - {defect.name for defect in every}
    if unknown:
        say(f"no such defect: {', '.join(sorted(unknown))}")
        return 2
    chosen = [defect for defect in every if not names or defect.name in names]
    with tempfile.TemporaryDirectory(prefix="defects-") as folder:
        copy = make_copy(ROOT, Path(folder))
        say(f"{len(chosen)} defects; first their tests without any")
        plant.check_sound(copy, chosen)
        outcomes = plant.plant_all(copy, chosen, say)
    missed = [outcome.defect.name for outcome in outcomes if not outcome.caught]
    say(f"{len(outcomes) - len(missed)} of {len(outcomes)} caught")
    if not names and not missed:
        page.replace_section(ROOT, "planted", page.planted_rows(outcomes))
    return 1 if missed else 0


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("plant", "mutants"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--last", action="store_true", help="mutants: only write the page from the last run's outcomes")
    arguments = parser.parse_args()
    try:
        if arguments.command == "plant":
            return plant_command(arguments.names)
        return mutants.command(ROOT, arguments.names, say, last=arguments.last)
    except (plant.DefectError, mutants.MutantError) as error:
        say(f"error: {error}")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
