"""Command line behind `make package`, `make sign`, `make publish`, `make index` and `make release`.

Exit codes are those of `llm-serving`. stdout carries the product (a path, a digest); progress goes to stderr.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from llm_serving_planner.base.errors import InputError, LlmServingError
from llm_serving_planner.base.writing import write_text
from llm_serving_planner.cli.console import Exit, complain, say

from publishing import archive, index, publish, registry, release

DIST = archive.ROOT / "dist"


def stop_as_by_ctrl_c() -> None:
    """A runner that cancels sends SIGTERM, a lost terminal SIGHUP: what was begun is taken back then too."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of one step."""
    stop_as_by_ctrl_c()
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], None] = arguments.run
    try:
        run(arguments)
    except LlmServingError as error:
        complain(error)
        return Exit.REFUSED
    except KeyboardInterrupt:
        say("interrupted: nothing is half done (a version is in a registry whole or not at all); run again")
        sys.stdout.flush()
        os._exit(Exit.INTERRUPTED)  # a request in the Go library may still run; nothing here waits for it
    return Exit.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="publishing", description=__doc__, allow_abbrev=False)
    steps = parser.add_subparsers(required=True)

    def add(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        step = steps.add_parser(name, help=text, allow_abbrev=False)
        step.set_defaults(run=run)
        step.add_argument("--dist", type=Path, default=DIST, help="folder of the packages")
        return step

    add("package", _package, "write the chart's package; prints its path")
    sign = add("sign", _sign, "write the provenance of the package; prints its path")
    sign.add_argument("--key", required=True, help="part of the key's user id")
    sign.add_argument(
        "--keyring", type=Path, required=True, help="secret keyring, as gpg --export-secret-keys writes it"
    )
    sign.add_argument("--passphrase-file", type=Path)
    verify = add("verify", _verify, "check the package against its provenance")
    verify.add_argument("--keyring", type=Path, required=True, help="public keyring, as gpg --export writes it")
    push = add("publish", _publish, "push the package to an OCI registry; prints reference and digest")
    push.add_argument("registry", help="oci://host/path")
    push.add_argument("--plain-http", action="store_true", help="no TLS")
    push.add_argument("--timeout", type=float, default=300, metavar="S", help="seconds per request (default: 300)")
    classic = add("index", _index, "write index.yaml over the packages; prints its path")
    classic.add_argument("url", help="where the folder will be served")
    classic.add_argument("--merge", type=Path, help="older index (default: the one in the folder)")
    add("check-tag", _check_tag, "fail unless a tag is v and the version").add_argument("tag")
    add("notes", _notes, "print the changelog of the version")
    make = add("release", _release, "version, changelog, annotations, checks, commit, tag")
    make.add_argument("version")
    make.add_argument("--dry-run", action="store_true", help="show everything, change nothing")
    return parser


def _current(dist: Path) -> Path:
    """The package of the version in Chart.yaml.

    Raises:
        InputError: it was not made yet.
    """
    path = dist / f"{archive.NAME}-{archive.chart_version(archive.ROOT)}.tgz"
    if not path.is_file():
        raise InputError(f"{path}: no such package", hint="make package writes it")
    return path


def _package(arguments: argparse.Namespace) -> None:
    path = archive.make_package(archive.ROOT, arguments.dist)
    say(f"sha256:{archive.sha256_file(path)}")
    print(path)


def _sign(arguments: argparse.Namespace) -> None:
    print(
        archive.sign_package(
            _current(arguments.dist),
            key=arguments.key,
            keyring=arguments.keyring,
            passphrase_file=arguments.passphrase_file,
        )
    )


def _verify(arguments: argparse.Namespace) -> None:
    print(f"signed by {archive.verify_package(_current(arguments.dist), arguments.keyring)}")


def _publish(arguments: argparse.Namespace) -> None:
    path = _current(arguments.dist)
    target = registry.Registry(arguments.registry, plain_http=arguments.plain_http, timeout=arguments.timeout)
    reference = f"{target.url}/{archive.NAME}@{publish.publish(path, target, say)}"
    write_text(arguments.dist / "published.txt", f"{reference}\n")  # for `make sign-keyless`
    print(reference)


def _index(arguments: argparse.Namespace) -> None:
    print(index.make_index(arguments.dist, arguments.url, merge=arguments.merge))


def _check_tag(arguments: argparse.Namespace) -> None:
    expected = f"v{archive.chart_version(archive.ROOT)}"
    if arguments.tag != expected:
        raise InputError(f"TAG {arguments.tag!r} is not {expected}", hint="tags are made by make release VERSION=x.y.z")


def _notes(_: argparse.Namespace) -> None:
    print(release.notes(archive.ROOT, archive.chart_version(archive.ROOT)))


def _release(arguments: argparse.Namespace) -> None:
    release.make_release(archive.ROOT, arguments.version, dry_run=arguments.dry_run, progress=say)


if __name__ == "__main__":
    raise SystemExit(main())
