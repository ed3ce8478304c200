"""`make bench`: times of an offline plan and an offline ranking as ratios to a bare Python, and of the whole grid.

Ratios are taken in one run, minimum and median of several, because machines are noisy.
"""

import statistics
import subprocess
import sys
import time

from llm_serving import catalogue
from llm_serving.errors import DoesNotFitError
from llm_serving.plan import make_plan
from llm_serving.profiles import profile_grid

ROUNDS = 15
ADVISE = ["-m", "llm_serving", "advise", "mistralai/Mistral-7B-Instruct-v0.2", "--offline"]
PLAN = ["-m", "llm_serving", "plan", "mistralai/Mistral-7B-Instruct-v0.2", "--profile", "2xt4", "--offline"]


def timed(words: list[str]) -> float:
    """Wall seconds of one Python process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - started


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
