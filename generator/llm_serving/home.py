"""Where the project is published: the one place to change in a fork, and before the first release.

The addresses lie below example.com, which RFC 2606 reserves, because the project has no public home yet: a made-up
name at a real registry could be taken by anybody. `make release` refuses to go on until they are set.
"""

SOURCE = "https://git.example.com/llm-serving"
CHARTS = "oci://registry.example.com/charts"
# Fingerprint and address of the public key that signs the chart: {"fingerprint": "40 hex digits", "url": "https://..."}
SIGN_KEY: dict[str, str] = {}


def chart_reference(version: str) -> str:
    """The published chart, as arguments of `helm install`."""
    return f"{CHARTS}/llm-serving --version {version}"
