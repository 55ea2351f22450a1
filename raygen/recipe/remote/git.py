"""Fetch a repository at one revision, without its history, by the git command.

Knows nothing of recipes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from raygen.core import UserError
from raygen.core.access import Anonymous, public_addresses

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TIMEOUT_S = 600
_MOST_BYTES, _MOST_FILES = 2**30, 20_000
# The repository is a stranger's: no hook of it is run, and it leads to no other.
_SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never",
         "-c", "submodule.recurse=false", "-c", "advice.detachedHead=false",
         "-c", "core.protectHFS=true", "-c", "core.protectNTFS=true")  # fmt: skip

_NOBODY = "-ccredential.helper="
"""The option by which a stranger's repository is read."""

_OTHER_REPOSITORY = ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")
"""Environment variables by which git, called in a hook, works on the hook's repository."""


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
        if rev is None or not re.fullmatch(r"[0-9a-f]{4,64}", rev):
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
    return UserError(
        f"git+{url}{what} can't be fetched: {error}; check the address, the revision and the "
        "network, and that `git fetch` may read it", 1
    )  # fmt: skip


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            [_program(), *_SAFE, *words], cwd=folder, env=_environment(folder, _NOBODY in words),
            capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UserError(f"git gave no answer in {_TIMEOUT_S} s", 1) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"git {words[0]} failed"]
        fatal = next((line for line in lines if line.startswith("fatal: ")), lines[-1])
        raise UserError(fatal.removeprefix("fatal: ").rstrip("."), 1)
    return done.stdout


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
