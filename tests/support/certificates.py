"""A certificate authority and a certificate, made by openssl, for tests."""

import base64
import subprocess
from pathlib import Path


def certificate(folder: Path, name: str) -> dict[str, str]:
    """Secret data (tls.crt, tls.key, ca.crt, in base64) of a certificate that holds `name`."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    (folder / "san").write_text(f"subjectAltName=DNS:{name}\n")
    new = ["-newkey", "rsa:2048", "-nodes"]
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=test authority")
    openssl("req", *new, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=engine")
    words = ["-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tls.crt", "-days", "2"]
    openssl("x509", "-req", *words, "-extfile", "san")
    return {file: base64.b64encode((folder / file).read_bytes()).decode() for file in ("tls.crt", "tls.key", "ca.crt")}
