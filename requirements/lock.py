"""Pin every file of a lock by its hash: `python requirements/lock.py INDEX requirements/cpu.lock`.

A lock file names every package with `==`; nothing is resolved here. The hashes are those of all
files of that version, for every platform, as INDEX lists them (the simple API in its JSON form).
A build that INDEX doesn't have, such as torch's for the CPU, is pinned by `--wheel FILE`.
"""

import argparse
import hashlib
import json
import re
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s\\]+)")
_ACCEPT = "application/vnd.pypi.simple.v1+json"


def main() -> None:
    """Rewrite the lock files named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("index", help="address of a simple index, such as https://host/simple")
    parser.add_argument("locks", nargs="+", type=Path)
    parser.add_argument("--wheel", action="append", default=[], type=Path, help="a file to pin too")
    options = parser.parse_args()
    local = {_release(path.name): [_sha256(path)] for path in options.wheel}
    for lock in options.locks:
        pins = [
            match.groups() for line in lock.read_text().splitlines() if (match := _PIN.match(line))
        ]
        with ThreadPoolExecutor(8) as pool:
            hashes = list(pool.map(lambda pin: _hashes(options.index, pin, local), pins))
        lock.write_text(
            "".join(_entry(*pin, digests) for pin, digests in zip(pins, hashes, strict=True))
        )


def _hashes(
    index: str, pin: tuple[str, str], local: dict[tuple[str, Version] | None, list[str]]
) -> list[str]:
    name, version = canonicalize_name(pin[0]), Version(pin[1])
    if digests := local.get((name, version)):
        return digests
    address = urllib.parse.urljoin(index.rstrip("/") + "/", f"{name}/")
    request = urllib.request.Request(address, headers={"Accept": _ACCEPT})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
        files = json.load(reply)["files"]
    digests = [f["hashes"]["sha256"] for f in files if _release(f["filename"]) == (name, version)]
    if not digests:
        raise SystemExit(f"{index} has no file of {pin[0]}=={pin[1]}; pin a file with --wheel")
    return sorted(digests)


def _release(filename: str) -> tuple[str, Version] | None:
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[:2]
        return parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(name: str, version: str, digests: list[str]) -> str:
    return " \\\n    ".join([f"{name}=={version}", *(f"--hash=sha256:{d}" for d in digests)]) + "\n"


if __name__ == "__main__":
    main()
