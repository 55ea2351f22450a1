"""Little that unpacks to much, and a child process that may not have much memory."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from typing import Any

_BLOCK = 2**24


def bomb(size: int, unit: bytes = b" ", start: bytes = b"", wbits: int = 31) -> Iterator[bytes]:
    """`start` and then `unit` for `size` bytes, packed in pieces: gzip, or zlib with `wbits=15`.

    After a full flush the packed block can be repeated, so that a gigabyte takes no time. The
    check sum at the end is missing, which a reader of all of it would notice.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    yield packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(unit * (_BLOCK // len(unit))) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(size // _BLOCK):
        yield block


def limited(code: str, *args: str, megabytes: int = 400, imports: str = "") -> Any:
    """What `code` prints as JSON in a process that gets no more than so much memory of its own.

    `imports` is run before memory is counted.
    """
    start = (
        f"import json, resource, sys\n{imports}\n"
        "import pathlib\n"
        "pages = int(pathlib.Path('/proc/self/statm').read_text().split()[0])\n"
        f"most = pages * resource.getpagesize() + {megabytes} * 2**20\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", start + code, *args],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)
