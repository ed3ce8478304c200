"""`make bench`: times of an offline plan and an offline ranking as ratios to a bare Python, and of the whole grid.

Ratios are taken in one run, minimum and median of several, because machines are noisy.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llm_serving import catalogue
from llm_serving.errors import DoesNotFitError
from llm_serving.plan import make_plan
from llm_serving.profiles import profile_grid

ROOT = Path(__file__).parent.parent
ROUNDS = 15
ADVISE = ["-m", "llm_serving", "advise", "mistralai/Mistral-7B-Instruct-v0.2", "--offline"]
PLAN = ["-m", "llm_serving", "plan", "mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4", "--offline"]


def timed(words: list[str]) -> float:
    """Wall seconds of one Python process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - started


def wheel_and_import() -> None:
    """Size of the wheel, and time of importing the command line beyond a bare Python."""
    with tempfile.TemporaryDirectory() as folder:
        pip = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, str(ROOT)]
        timed(pip)
        (wheel,) = Path(folder).glob("*.whl")
        print(f"wheel               {wheel.stat().st_size / 1024:.0f} KiB")
    bare = [timed(["-c", "pass"]) for _ in range(ROUNDS)]
    imported = [timed(["-c", "import llm_serving.cli"]) for _ in range(ROUNDS)]
    least, median = min(imported) - min(bare), statistics.median(imported) - statistics.median(bare)
    print(f"import of the cli   min {least * 1000:6.1f} ms  median {median * 1000:6.1f} ms, beyond a bare Python")


def main() -> None:
    """Print all figures."""
    bare, plan, advise = [], [], []
    for _ in range(ROUNDS):
        bare.append(timed(["-c", "pass"]))
        plan.append(timed(PLAN))
        advise.append(timed(ADVISE))
    print(f"python -c pass      min {min(bare) * 1000:6.1f} ms  median {statistics.median(bare) * 1000:6.1f} ms")
    print(f"plan, offline       min {min(plan) * 1000:6.1f} ms  median {statistics.median(plan) * 1000:6.1f} ms")
    print(f"advise, offline     min {min(advise) * 1000:6.1f} ms  median {statistics.median(advise) * 1000:6.1f} ms")
    print(f"ratio of plan       min {min(plan) / min(bare):6.2f}     median "
          f"{statistics.median(plan) / statistics.median(bare):6.2f}")  # fmt: skip
    print(f"ratio of advise     min {min(advise) / min(bare):6.2f}     median "
          f"{statistics.median(advise) / statistics.median(bare):6.2f}")  # fmt: skip
    wheel_and_import()
    specs = [spec for name in catalogue.model_ids() if (spec := catalogue.find(name)) is not None]
    profiles = profile_grid()
    fits = 0
    started = time.perf_counter()
    for spec in specs:
        for profile in profiles:
            try:
                make_plan(spec, profile)
            except DoesNotFitError:
                continue
            fits += 1
    seconds = time.perf_counter() - started
    count = len(specs) * len(profiles)
    print(f"{len(specs)} models x {len(profiles)} profiles: {count} plans ({fits} fit) in {seconds:.1f} s, "
          f"{1e6 * seconds / count:.0f} us each")  # fmt: skip


if __name__ == "__main__":
    main()
