"""What a person would look at first when a test on a cluster fails: nodes, events, pods and their logs."""

import subprocess

import pytest

NAMESPACES: list[str] = []  # those of the test that runs now
LONGEST = 4000  # characters of one log that are shown


def shown(*words: str) -> str:
    """What a kubectl command prints, or why it does not; never a failure of its own."""
    try:
        done = subprocess.run(["kubectl", *words], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"kubectl {' '.join(words)}: {error}"
    return (done.stdout + done.stderr).strip()


def logs(namespace: str) -> list[tuple[str, str]]:
    """The ends of all logs, also of containers that ended before."""
    wanted = "jsonpath={range .items[*]}{.metadata.name}{'\\n'}{end}"
    found = []
    for pod in shown("get", "pods", "-n", namespace, "-o", wanted).split():
        for previous in ("false", "true"):
            words = (
                "logs",
                pod,
                "-n",
                namespace,
                "--all-containers",
                "--prefix",
                f"--previous={previous}",
                "--tail=60",
            )
            text = shown(*words)
            if text and "previous terminated container" not in text:
                found.append((f"log of {pod}{' before' if previous == 'true' else ''}", text[-LONGEST:]))
    return found


def describe(report: pytest.TestReport) -> None:
    """Add to the report of a failed test what its namespaces and the nodes look like."""
    report.sections.append(("nodes", shown("get", "nodes", "-o", "wide")))
    for namespace in NAMESPACES:
        everything = "pods,deployments,statefulsets,leaderworkersets,rayclusters,jobs,pvc,services"
        report.sections.append((f"objects in {namespace}", shown("get", everything, "-n", namespace, "-o", "wide")))
        events = shown("get", "events", "-n", namespace, "--sort-by=.lastTimestamp")
        report.sections.append((f"events in {namespace}", events[-2 * LONGEST :]))
        report.sections.extend(logs(namespace))
