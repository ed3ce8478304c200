"""The only place where preflight asks a cluster: kubectl or oc, read-only, JSON."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_serving_planner.base.errors import InputError

# Seconds until an API server that does not answer is given up.
_TIMEOUT_SECONDS = 30
# Prints the names of a Secret's keys: the values never leave kubectl.
_KEYS = '{{range $key, $value := .data}}{{$key}}{{"\\n"}}{{end}}'


class ForbiddenError(Exception):
    """The user may not read this: the check's answer is not known."""


@dataclass(frozen=True, slots=True)
class Client:
    """kubectl or oc, on PATH, with the user's own configuration.

    Attributes:
        program: path of the client.
        context: kubeconfig context, None for the current one.
    """

    program: str
    context: str | None = None

    @classmethod
    def find(cls, context: str | None = None) -> "Client":
        """The client on PATH.

        Raises:
            InputError: there is none.
        """
        program = shutil.which("oc") or shutil.which("kubectl")
        if program is None:
            raise InputError("neither oc nor kubectl is on PATH", hint="install one and log in to the cluster")
        return cls(program, context)

    def run(self, *words: str) -> str:
        """What the client prints.

        Raises:
            ForbiddenError: the user may not do that.
            InputError: no answer, or any other failure.
        """
        name = Path(self.program).name
        command = [self.program, *(("--context", self.context) if self.context else ()), *words]
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, no shell
                command, capture_output=True, encoding="utf-8", errors="replace", check=False,
                timeout=_TIMEOUT_SECONDS, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise InputError(
                f"{name} gave no answer within {_TIMEOUT_SECONDS} seconds",
                hint=f"is the API server reachable? `{name} get --raw /readyz` tells",
            ) from None
        if done.returncode == 0:
            return done.stdout
        if "Forbidden" in done.stderr or "forbidden" in done.stderr:
            raise ForbiddenError(words[1] if len(words) > 1 else words[0])
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["without a message"]
        raise InputError(
            f"{name} {words[0]} failed with exit code {done.returncode}: {lines[-1].strip()}",
            hint="log in to the cluster, or name a context with --context",
        )

    def items(self, kinds: str, namespace: str | None = None, *, everywhere: bool = False) -> list[dict[str, Any]]:
        """Objects of these kinds; of a namespace, of all, or of no namespace.

        Raises:
            ForbiddenError: the user may not list them.
            InputError: no answer, or one that is no list.
        """
        place: tuple[str, ...] = ("--all-namespaces",) if everywhere else ("-n", namespace) if namespace else ()
        text = self.run("get", kinds, *place, "-o", "json")
        try:
            found = json.loads(text)["items"]
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{Path(self.program).name} get {kinds}: the answer is no list of objects") from None
        return list(found)

    def api_versions(self) -> set[str]:
        """Group versions that the cluster serves."""
        return set(self.run("api-versions").split())

    def secret_keys(self, name: str, namespace: str) -> list[str] | None:
        """Names of a Secret's keys, None where there is no such Secret."""
        found = self.run("get", "secret", name, "-n", namespace, "--ignore-not-found", "-o", f"go-template={_KEYS}")
        exists = self.run("get", "secret", name, "-n", namespace, "--ignore-not-found", "-o", "name").strip()
        return found.split() if exists else None
