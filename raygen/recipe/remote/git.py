"""Fetch a repository at one revision, without its history, by the git command.

Knows nothing of recipes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from raygen.core import UserError
from raygen.core.access import Anonymous, public_addresses

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TIMEOUT_S = 600
_SILENT_S = 60
"""How long a server may send next to nothing."""
_MOST_BYTES, _MOST_FILES = 2**30, 20_000
_MEMORY = 2**32
"""Bytes of addresses, of which git maps its files into some."""
_LIMITED = ("/bin/sh", "-c")
_SHOWN_BYTES = 2**16
_CAUSES = ("error: RPC failed", "fatal: ")
"""How git's lines begin that say most of why it failed."""
# The repository is a stranger's: no hook of it is run, and it leads to no other.
_SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never",
         "-c", "submodule.recurse=false", "-c", "advice.detachedHead=false",
         "-c", "fetch.unpackLimit=1", "-c", "gc.auto=0", "-c", "maintenance.auto=false",
         "-c", "pack.threads=2", "-c", "core.packedGitLimit=512m",
         "-c", "core.protectHFS=true", "-c", "core.protectNTFS=true")  # fmt: skip

_NOBODY = "-ccredential.helper="
"""The option by which a stranger's repository is read."""

_OTHER_REPOSITORY = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")
"""Environment variables by which git, called in a hook, works on the hook's repository."""


class _TooLargeError(UserError):
    """More came than a repository may have."""


def is_commit(rev: str | None) -> bool:
    """Tell whether a revision is a full commit hash, which never changes its meaning."""
    return rev is not None and _COMMIT.fullmatch(rev) is not None


def fetch_git(url: str, rev: str | None, into: Path, access: Anonymous | None = None) -> str:
    """Write the files of a repository into a folder; return the commit. Raises UserError.

    `access` None reads it as the user; a stranger's is read without credentials, and from where its
    host was found to be, without redirects.
    """
    alone = () if access is None else _as_nobody(url, access)
    _git(into, "init", "-q", ".")
    try:
        _git(into, *alone, "fetch", "-q", "--depth", "1", "--no-tags", "--", url, rev or "HEAD")
        state = "FETCH_HEAD"
    except UserError as error:
        # A server gives away no commit by the start of its name: that needs all of them.
        too_large = isinstance(error, _TooLargeError)
        if too_large or rev is None or not re.fullmatch(r"[0-9a-f]{4,64}", rev):
            raise _unreachable(url, rev, error) from error
        try:
            _git(into, *alone, "fetch", "-q", "--", url, "+refs/*:refs/raygen/*")
        except UserError as second:
            raise _unreachable(url, rev, second) from second
        state = rev
    try:
        commit = _git(into, "rev-parse", "--verify", "-q", f"{state}^{{commit}}").strip()
    except UserError as error:
        raise UserError(f"git+{url}: no commit {rev!r} in it; correct the revision") from error
    _check_size(into, url, commit)
    _git(into, "checkout", "-q", "--detach", commit)
    shutil.rmtree(into / ".git")
    return commit


def _as_nobody(url: str, access: Anonymous) -> tuple[str, ...]:
    """Return the options by which git reads a repository without credentials.

    Raises UserError for an address that nobody but the user may ask.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise UserError(
            f"git+{url}: a fetched recipe reads a repository by https alone; --as-me git+{url} "
            "lets it be read with your keys"
        )
    try:
        addresses = public_addresses(url, access.home)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except (OSError, ValueError) as error:
        raise UserError(f"git+{url}: its host can't be resolved: {error}", 1) from error
    if not addresses:
        raise UserError(f"git+{url} is in a private network, which a fetched recipe may not read")
    pinned = f"{parts.hostname}:{port}:{','.join(addresses)}"
    return (
        _NOBODY, "-c", "http.followRedirects=false",
        "-c", f"http.curloptResolve={pinned}", "-c", "protocol.ssh.allow=never",
        "-c", "core.askPass=/bin/false", "-c", "http.extraHeader=",
    )  # fmt: skip


def _check_size(folder: Path, url: str, commit: str) -> None:
    """Raise UserError for a commit whose files are too many or too large to be unpacked."""
    size = 0
    with subprocess.Popen(
        [_program(), *_SAFE, "ls-tree", "-r", "-l", "-z", commit],
        cwd=folder, env=_environment(folder), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
    ) as listing:  # fmt: skip
        assert listing.stdout is not None  # noqa: S101 - as it was asked for
        for number, entry in enumerate(_entries(listing.stdout), 1):
            length = entry.partition(b"\t")[0].split()[-1]
            size += int(length) if length.isdigit() else 0  # a submodule has none
            if size > _MOST_BYTES or number > _MOST_FILES:
                listing.kill()  # folders in folders may list without an end
                raise UserError(
                    f"git+{url} has {number:,} files of {size >> 20:,} MiB at {commit}, or more; a "
                    f"recipe's repository has at most {_MOST_FILES:,} of {_MOST_BYTES >> 20:,} "
                    "MiB: name big data by a URL in source.path"
                )


def _entries(listing: IO[bytes]) -> Iterator[bytes]:
    """Yield what stands between zero bytes; names have no limit of their own in git."""
    rest = b""
    while part := os.read(listing.fileno(), 2**16):
        *entries, rest = (rest + part).split(b"\0")
        yield from entries


def _unreachable(url: str, rev: str | None, error: UserError) -> UserError:
    what = f" at {rev!r}" if rev else ""
    if isinstance(error, _TooLargeError):
        return UserError(f"git+{url}{what} can't be fetched: {error}", 1)
    return UserError(
        f"git+{url}{what} can't be fetched: {error}; check the address, the revision and the "
        "network, and that `git fetch` may read it", 1
    )  # fmt: skip


def _git(folder: Path, *words: str) -> str:
    """Return what git says, run with limits. Raises UserError."""
    alone = _NOBODY in words
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        process = subprocess.Popen(
            [*_LIMITED, _limits(), _program(), *_SAFE, *_patience(), *words],
            cwd=folder, env=_environment(folder, alone), stdin=subprocess.DEVNULL,
            stdout=said, stderr=complained,
            # The user's own ssh may ask for a password at the terminal, a stranger's may not.
            start_new_session=alone,
        )  # fmt: skip
        try:
            code = process.wait(_TIMEOUT_S)
        except BaseException as error:
            _end(process, alone)
            if isinstance(error, subprocess.TimeoutExpired):
                raise UserError(f"git gave no answer in {_TIMEOUT_S} s", 1) from None
            raise
        if code:
            _check_file_limit(folder, complained)
            raise UserError(_complaint(_last(complained), words[0]), 1)
        return _last(said)


def _limits() -> str:
    """Return the shell's words that limit each file that git writes, and its memory.

    What it receives is one file, and what it says is another.
    """
    return (
        f'ulimit -f {_MOST_BYTES // 512}; ulimit -v {_MEMORY // 1024} 2>/dev/null; exec "$0" "$@"'
    )


def _patience() -> tuple[str, ...]:
    """Return the options by which git ends a download that stands still."""
    return ("-c", "http.lowSpeedLimit=1000", "-c", f"http.lowSpeedTime={_SILENT_S}")


def _end(process: subprocess.Popen[bytes], alone: bool) -> None:
    """End git, and what it has started where that is a group of its own."""
    with suppress(ProcessLookupError):
        if alone:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.terminate()
    process.wait()


def _last(file: IO[bytes]) -> str:
    """Return the end of what was written into a file."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _SHOWN_BYTES))
    return file.read().decode(errors="replace")


def _check_file_limit(folder: Path, complained: IO[bytes]) -> None:
    """Raise _TooLargeError where git was ended by the limit of a file."""
    sizes = [path.lstat().st_size for path in folder.rglob("*")]
    if max(complained.seek(0, os.SEEK_END), *sizes, 0) >= _MOST_BYTES // 512 * 512:
        raise _TooLargeError(
            f"more than {_MOST_BYTES >> 20:,} MiB came, packed, which is the limit of a recipe's "
            "repository; name big data by a URL in source.path",
            1,
        )


def _complaint(text: str, command: str) -> str:
    """Return the line of git's that says why it failed."""
    lines = text.strip().splitlines() or [f"git {command} failed"]
    causes = [line for start in _CAUSES for line in lines if line.startswith(start)]
    cause = causes[0] if causes else lines[-1]
    return cause.removeprefix("error: ").removeprefix("fatal: ").rstrip(".")


def _program() -> str:
    program = shutil.which("git")
    if program is None:
        raise UserError("git is not installed; install it, or name the recipe otherwise")
    return program


def _environment(folder: Path, as_nobody: bool = False) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    # What LFS would load comes from wherever the repository says.
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C"}
    if as_nobody:
        # No settings of the user's, and no .netrc.
        quiet |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
        users = ("GIT_", "SSH_", "XDG_CONFIG_HOME")
        inherited = {k: value for k, value in inherited.items() if not k.startswith(users)}
    return {**inherited, **quiet}
