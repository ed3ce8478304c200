"""An OCI registry behind Helm's own client: push, resolve, pull, and what their failures mean to a person.

Credentials are Helm's and docker's usual ones: HELM_REGISTRY_CONFIG or ~/.config/helm/registry/config.json, then
~/.docker/config.json. Helm uploads blobs first and the manifest last, and only the manifest makes a version visible:
whatever breaks before that leaves the version absent.
"""

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from llm_serving_planner.base.errors import InputError, LlmServingError

T = TypeVar("T")
_LOOK_SECONDS = 0.2
_REFERENCE = re.compile(r"oci://[A-Za-z0-9.\-\[\]:]+(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$")

# Pieces of Helm's, Go's and the registry's messages (Helm 4.2.3, distribution 2.8.2; read from real failures), the
# sentence for people, and the way out. The first that matches counts.
_MEANINGS = (
    (
        r"server gave HTTP response to HTTPS client|first record does not look like a TLS handshake",
        "speaks plain HTTP, HTTPS was asked for",
        "use a registry with TLS, or PLAIN_HTTP=1 where you trust the network",
    ),
    (
        r"HTTP request to an HTTPS server|malformed HTTP response|HEAD \"http:.* 400: Bad Request",
        "speaks HTTPS, plain HTTP was asked for",
        "leave PLAIN_HTTP away",
    ),
    (
        r"x509|certificate|tls:",
        "has a certificate that is not trusted here",
        "add its authority to the system's store, or name the file: SSL_CERT_FILE=ca.pem",
    ),
    (r"connection refused|no such host|network is unreachable|no route to host|i/o timeout|server misbehaving",
     "does not answer", "is it up, and is the name right?"),
    (
        r"\b401\b|unauthorized|authentication required|basic credential not found|incorrect username or password",
        "refuses the credentials, or got none",
        "helm registry login HOST",
    ),
    (r"\b403\b|denied|forbidden", "knows you, but does not let you write there", "ask its owner for the right to push"),
    (
        r"no space left|disk quota|\b507\b|\b413\b",
        "has no space left",
        "free space or raise the quota, then run again",
    ),
    (r"\b5\d\d\b|unknown error|blob upload", "failed", "look at its log and its free space, then run again"),
    (r"EOF|connection reset|broken pipe", "broke the connection", "run again; what was uploaded is not lost"),
)  # fmt: skip
_ABSENT = re.compile(r": not found$|\b404\b|name unknown|manifest unknown", re.IGNORECASE)


class RegistryError(LlmServingError):
    """The registry cannot be used; the version that was to be published is absent there."""


class Registry:
    """A folder of a registry, such as `oci://ghcr.io/someone/charts`.

    Args:
        url: `oci://host[:port]/path`.
        plain_http: no TLS.
        timeout: seconds that one request to the registry may take.

    Raises:
        InputError: the URL is none.
    """

    def __init__(self, url: str, *, plain_http: bool = False, timeout: float = 300) -> None:
        self.url = url.rstrip("/")
        if not _REFERENCE.fullmatch(self.url):
            raise InputError(
                f"REGISTRY {url!r} is no oci://host/path (lower-case path)",
                hint="make publish REGISTRY=oci://ghcr.io/me/charts",
            )
        self.host = urlsplit(self.url).netloc
        self._plain_http = plain_http
        self._timeout = timeout

    def digest(self, name: str, version: str) -> str | None:
        """Digest of the manifest of a version, None when the registry has no such version.

        Raises:
            RegistryError: no answer that tells.
        """
        from helm_python import HelmError

        try:
            return str(self._patiently(lambda: self._client().resolve(f"{self.url}/{name}:{_tag(version)}"))["digest"])
        except HelmError as error:
            if _ABSENT.search(str(error)):
                return None
            raise self._explained(error) from error

    def pull(self, name: str, version: str) -> bytes:
        """The archive of a version.

        Raises:
            RegistryError: no such version, or no answer.
        """
        from helm_python import HelmError

        with tempfile.TemporaryDirectory() as folder:
            try:
                self._patiently(
                    lambda: self._client().pull(
                        f"{self.url}/{name}", version=version, destination=folder, plain_http=self._plain_http
                    )
                )
            except HelmError as error:
                raise self._explained(error) from error
            (archive,) = Path(folder).glob("*.tgz")
            return archive.read_bytes()

    def push(self, archive: Path) -> None:
        """Upload an archive, and its provenance where one lies beside it.

        Raises:
            RegistryError: it was not published.
        """
        from helm_python import HelmError

        try:
            self._patiently(lambda: self._client().push(archive, self.url, plain_http=self._plain_http))
        except HelmError as error:
            raise self._explained(error) from error

    def _client(self) -> "RegistryClient":  # type: ignore[name-defined]  # noqa: F821
        from helm_python import RegistryClient

        return RegistryClient(
            plain_http=self._plain_http, credentials_file=os.environ.get("HELM_REGISTRY_CONFIG") or None
        )

    def _patiently(self, call: Callable[[], T]) -> T:
        """Run a call of the Go library so that Ctrl-C and the time limit reach the caller at once."""
        results: list[T] = []
        failures: list[BaseException] = []

        def work() -> None:
            try:
                results.append(call())
            except BaseException as error:  # noqa: BLE001 - raised again by the caller
                failures.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        deadline = time.monotonic() + self._timeout
        while thread.is_alive() and time.monotonic() < deadline:
            thread.join(_LOOK_SECONDS)  # in slices: a Ctrl-C just before a long wait would be seen only after it
        if thread.is_alive():
            raise RegistryError(
                f"{self.host} did not finish within {self._timeout:g} s", hint="run again, or raise TIMEOUT=seconds"
            )
        if failures:
            raise failures[0]
        return results[0]

    def _explained(self, error: Exception) -> RegistryError:
        text = " ".join(str(error).split())
        for pattern, meaning, way in _MEANINGS:
            if re.search(pattern, text, re.IGNORECASE):
                return RegistryError(f"{self.host} {meaning} ({text})", hint=way.replace("HOST", self.host))
        return RegistryError(f"{self.host}: {text}")


def _tag(version: str) -> str:
    """A version as a tag: Helm writes `_` for the `+` that tags cannot hold."""
    return version.replace("+", "_")
