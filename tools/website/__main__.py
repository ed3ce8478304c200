"""python -m website [--out dist/site] [--cache build/pyodide] [--without-runtime]: write the static site.

Exit codes: 0 written, 1 refused (with the reason), 2 usage.
"""

import argparse
import sys
from pathlib import Path

from website import build, runtime
from website.documents import BrokenLinkError
from website.planning import StaleValuesError
from website.runtime import RuntimeUnavailableError

ROOT = Path(__file__).parent.parent.parent


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m website", description="Write the static site.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "site", help="folder (default: dist/site)")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache" / "pyodide", help="where npm's package is kept")
    parser.add_argument("--without-runtime", action="store_true", help="no Pyodide: every page, a planner that is mute")
    given = parser.parse_args()
    try:
        package = None if given.without_runtime else runtime.fetch(given.cache)
        files = build.site(ROOT, package)
        build.write(files, given.out)
    except (RuntimeUnavailableError, BrokenLinkError, StaleValuesError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or given.out}: {error.strerror}", file=sys.stderr)
        return 1
    size = sum(len(data) for data in files.values())
    print(f"wrote {len(files)} files, {size / 1e6:.1f} MB, to {given.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
