"""The only place where a cluster is asked: kubectl or oc, with the user's own configuration.

Nothing is changed: objects are read, and what a release would make is sent with --dry-run=server alone.
"""

import json
import re
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from llm_serving_planner.base import jsontext
from llm_serving_planner.base.errors import InputError
from llm_serving_planner.base.printable import one_line
from llm_serving_planner.base.shapes import check_shape
from llm_serving_planner.base.units import MIB

# oc first: where both are installed, it is the one that was logged in to OpenShift, and it asks any other cluster too.
PROGRAMS = ("oc", "kubectl")
# Seconds until an API server that does not answer is given up: lists of a large cluster take a few.
ANSWER_SECONDS = 30
# Seconds for the whole log of a container, which comes through its node's kubelet and may be large.
LOG_SECONDS = 60
# All calls of one client together: a preflight asks thirty times, and each may wait ANSWER_SECONDS.
TOTAL_SECONDS = 100
# Bytes of one answer: 5,000 pods as JSON have 40 MiB; the kubelet keeps 10 MiB of a container's log by default.
MOST_BYTES = 64 * MIB
_MOST_SAID = 65_536  # bytes kept of what the client complains
_LOG_IN = "log in to the cluster, or name a context with --context"
# What the user's rights forbid, unlike admission: User "me" cannot list resource "nodes" in API group "".
_NO_RIGHT = re.compile(r"User \"[^\"]*\" cannot \w+ resource|is forbidden: User ")
_READING = {"get", "api-versions", "version", "logs"}
# Prints the names of a Secret's keys: the values never leave kubectl.
_KEYS = '{{range $key, $value := .data}}{{$key}}{{"\\n"}}{{end}}'


class CommandError(InputError):
    """The client ended with an error.

    Attributes:
        said: the last line that it wrote.
        text: all that it wrote of the error, as one line.
    """

    def __init__(self, message: str, *, said: str, hint: str | None = None, text: str = "") -> None:
        super().__init__(message, hint=hint)
        self.said = said
        self.text = text or said


class ForbiddenError(CommandError):
    """The user may not do this.

    Attributes:
        what: the kind that was asked for.
    """

    def __init__(self, message: str, *, said: str, what: str, hint: str | None = None) -> None:
        super().__init__(message, said=said, hint=hint)
        self.what = what


@dataclass(slots=True)
class _Clock:
    """When the first call began."""

    started: float | None = None

    def left(self) -> float:
        """Seconds of TOTAL_SECONDS."""
        self.started = time.monotonic() if self.started is None else self.started
        return TOTAL_SECONDS - (time.monotonic() - self.started)


@dataclass(frozen=True, slots=True)
class Client:
    """kubectl or oc, found on PATH.

    Attributes:
        program: path of the client.
        context: kubeconfig context, None for the current one.
        option: the user's option because of which the cluster is asked; messages begin with it.
        way_out: hint where the client ends with an error.
    """

    program: str
    context: str | None = None
    option: str = ""
    way_out: str | None = _LOG_IN
    clock: _Clock = field(default_factory=_Clock, compare=False, repr=False)

    @classmethod
    def find(
        cls,
        context: str | None = None,
        *,
        programs: tuple[str, ...] = PROGRAMS,
        option: str = "",
        absent: str = "",
        missing: str = "install one and log in to the cluster",
        way_out: str | None = _LOG_IN,
    ) -> "Client":
        """The client on PATH.

        Args:
            context: kubeconfig context, None for the current one.
            programs: names of clients that serve, the first found is taken.
            option: the user's option because of which the cluster is asked.
            absent: message where there is no client, in place of the usual one.
            missing: hint where there is no client.
            way_out: hint where the client ends with an error.

        Raises:
            InputError: there is none.
        """
        program = next((found for name in programs if (found := shutil.which(name))), None)
        if program is None:
            raise InputError(absent or f"{_prefix(option)}neither {' nor '.join(programs)} is on PATH", hint=missing)
        return cls(program, context, option, way_out)

    @property
    def name(self) -> str:
        """`kubectl` or `oc`."""
        return Path(self.program).name

    def run(self, *words: str, seconds: float | None = None, text: str = "") -> str:
        """What the client prints.

        Args:
            words: its arguments.
            seconds: until it is given up, None for ANSWER_SECONDS.
            text: its standard input.

        Raises:
            ForbiddenError: the user may not do that.
            CommandError: any other failure.
            InputError: no answer in time.
        """
        command = [self.program, *(("--context", self.context) if self.context else ()), *words]
        limit = min(ANSWER_SECONDS if seconds is None else seconds, max(self.clock.left(), 0))
        code, out, complaint = self._answer(command, limit, text)
        if code == 0:
            return out
        lines = [line.strip() for line in complaint.splitlines() if line.strip()] or ["without a message"]
        said = one_line(lines[-1], 500)
        asked = f"{_prefix(self.option)}{self.name}" if self.option else f"{self.name} {words[0]}"
        message = f"{asked} failed with exit code {code}: {said}"
        if _NO_RIGHT.search(complaint) or ("orbidden" in complaint and words[0] in _READING):
            raise ForbiddenError(message, said=said, what=words[1] if len(words) > 1 else words[0], hint=self.way_out)
        # warnings come first; what kubectl advises after a conflict says nothing of this one
        whole = " ".join(line for line in lines if not line.startswith("Warning:")).partition(" Please review the ")[0]
        raise CommandError(message, said=said, hint=self.way_out, text=whole)

    def _answer(self, command: list[str], limit: float, text: str = "") -> tuple[int, str, str]:
        """(exit code, stdout, stderr), both bounded in bytes, all of it in time.

        Raises:
            InputError: too much, or not in time; the client is ended then.
        """
        with TemporaryFile() as given:  # a pipe would have to be filled while the answer is read
            given.write(text.encode())
            given.seek(0)
            process = subprocess.Popen(  # noqa: S603 - fixed words, no shell
                command, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        answer, complaint = _Pipe(process.stdout, MOST_BYTES, process), _Pipe(process.stderr, _MOST_SAID)
        until = time.monotonic() + limit
        try:
            for pipe in (answer, complaint):
                pipe.thread.join(max(until - time.monotonic(), 0))
            late = answer.thread.is_alive() or complaint.thread.is_alive()
            code = None if late else process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            code = None
        finally:
            process.kill()
            process.wait()
        if answer.too_long:
            raise InputError(
                f"{_prefix(self.option)}{self.name} answers with more than {MOST_BYTES:,} bytes",
                hint="narrow the question with --namespace",
            )
        if code is None:
            raise InputError(
                f"{_prefix(self.option)}{self.name} gave no answer within {limit:.3g} seconds",
                hint=f"is the API server reachable? `{self.name} get --raw /readyz` tells",
            )
        return code, answer.text(), complaint.text()

    def items(
        self, kinds: str, namespace: str | None = None, *, selector: str = "", everywhere: bool = False
    ) -> list[dict[str, Any]]:
        """Objects of these kinds; of a namespace, of all, or of the context's namespace and of no namespace.

        Raises:
            ForbiddenError: the user may not list them.
            SchemaError: the answer has another shape.
            InputError: no answer, too long a one or no JSON.
        """
        place: tuple[str, ...] = ("--all-namespaces",) if everywhere else ("-n", namespace) if namespace else ()
        chosen = ("-l", selector) if selector else ()
        where = f"{_prefix(self.option)}{self.name} get {kinds}"
        text = self.run("get", kinds, *place, *chosen, "-o", "json")
        answer = jsontext.parse_object(text, where, MOST_BYTES)
        check_shape("kubernetesList", answer, where)
        return [_complete(item) for item in answer["items"] or []]

    def logs(self, pod: str, container: str, namespace: str, *, previous: bool = False) -> str:
        """The log of a container, or that of its start before.

        Raises:
            InputError: as `run`.
        """
        words = ["logs", pod, "-n", namespace, "-c", container, *(["--previous"] if previous else [])]
        return self.run(*words, seconds=LOG_SECONDS)

    def api_versions(self) -> set[str]:
        """Group versions that the cluster serves."""
        return set(self.run("api-versions").split())

    def server_version(self) -> str:
        """The API server's version, such as v1.35.4; empty where it does not tell.

        Raises:
            InputError: as `run`.
        """
        told = self.run("version", "-o", "json")
        try:
            return str(jsontext.parse_object(told, "version", MOST_BYTES)["serverVersion"]["gitVersion"])
        except (InputError, KeyError, TypeError):
            return ""

    def live(self, objects: list[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
        """Those of these objects that the cluster has, with the owners of their fields.

        Raises:
            InputError: as `run`.
        """
        if not objects:
            return []
        words = ["get", "-f", "-", "-n", namespace, "--ignore-not-found", "--show-managed-fields", "-o", "json"]
        told = self.run(*words, text=_stream(objects))
        if not told.strip():
            return []
        found = jsontext.parse_object(told, f"{_prefix(self.option)}{self.name} get", MOST_BYTES)
        listed = found if "items" in found else {"items": [found]}
        check_shape("kubernetesList", listed, "what is there")
        return list(listed["items"] or [])

    def one(self, resource: str, name: str, namespace: str | None) -> dict[str, Any] | None:
        """An object by its resource (`persistentvolumeclaims`), None where there is none.

        Raises:
            ForbiddenError: the user may not read it.
            InputError: as `run`.
        """
        place = ("-n", namespace) if namespace else ()
        told = self.run("get", resource, name, *place, "--ignore-not-found", "-o", "json")
        return _object(told, f"{_prefix(self.option)}{self.name} get {resource}") if told.strip() else None

    def rehearse(self, one: dict[str, Any], namespace: str) -> dict[str, Any]:
        """What the API server would store: every admission plugin and webhook is asked, nothing is kept.

        An object with a name is applied server-side as Helm does, one with `generateName` is created.

        Raises:
            ForbiddenError: the user may not do this.
            CommandError: the API server refuses it.
            InputError: no answer, or one that is no object.
        """
        words = ["apply", "--server-side", "--field-manager=helm"] if one["metadata"].get("name") else ["create"]
        told = self.run(*words, "--dry-run=server", "-n", namespace, "-f", "-", "-o", "json", text=_stream([one]))
        return _object(told, f"{_prefix(self.option)}{self.name} {words[0]}")

    def secret_keys(self, name: str, namespace: str) -> list[str] | None:
        """Names of a Secret's keys, None where there is no such Secret."""
        found = self.run("get", "secret", name, "-n", namespace, "--ignore-not-found", "-o", f"go-template={_KEYS}")
        exists = self.run("get", "secret", name, "-n", namespace, "--ignore-not-found", "-o", "name").strip()
        return found.split() if exists else None


class _Pipe:
    """Reads a pipe to its end on a thread of its own, and keeps so many bytes; beyond them the process is ended."""

    def __init__(self, pipe: IO[bytes] | None, most: int, process: subprocess.Popen[bytes] | None = None) -> None:
        self.pipe, self.most, self.process = pipe, most, process
        self.data = bytearray()
        self.too_long = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        if self.pipe is None:
            return
        with self.pipe:
            while block := self.pipe.read1(65_536):  # type: ignore[attr-defined]
                room = self.most - len(self.data)
                self.data += block[:room]
                if len(block) > room and self.process is not None:
                    self.too_long = True
                    self.process.kill()
                    return

    def text(self) -> str:
        """What was kept."""
        return self.data.decode("utf-8", "replace")


def _complete(item: dict[str, Any]) -> dict[str, Any]:
    """An object whose parts are there, empty where the cluster leaves them out or says null."""
    given = {key: value for key, value in item.items() if value is not None}
    found = {"spec": {}, "status": {}, **given}
    metadata = {key: value for key, value in found["metadata"].items() if value is not None}
    return {**found, "metadata": {"labels": {}, "annotations": {}, **metadata}}


def _stream(objects: list[dict[str, Any]]) -> str:
    return (
        json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        if len(objects) > 1
        else json.dumps(objects[0])
    )


def _object(text: str, what: str) -> dict[str, Any]:
    found = jsontext.parse_object(text, what, MOST_BYTES)
    metadata = found.get("metadata")
    if isinstance(metadata, dict):  # what is rehearsed with generateName gets no name
        found = {**found, "metadata": {"name": metadata.get("generateName", ""), **metadata}}
    check_shape("kubernetesList", {"items": [found]}, what)
    return _complete(found)


def _prefix(option: str) -> str:
    return f"{option}: " if option else ""
