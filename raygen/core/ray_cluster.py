"""Join a Ray cluster, or start one on this machine, for both packages.

It sees to what keeps Ray from starting or hangs it: an address where nothing answers, a home that
can't be written to, a folder for temporary files whose name is too long for a socket, the user's
own files named like a library, and a machine too busy for the first try. Knows nothing of what the
cluster is used for. Ray is imported when it is joined.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from raygen.core.errors import UserError
from raygen.core.process import redirect_logs
from raygen.core.ray_address import check_answer, check_form, cluster_name
from raygen.core.writable_folders import (
    can_write,
    home_folder,
    make_private,
    private_folder,
    room_for_folder,
    socket_folder,
    use_writable_home,
)

_Value = TypeVar("_Value")

PACKAGES = ("raygen", "streamtrain")

LOCAL = "local"
"""The address that starts a cluster on this machine, whatever RAY_ADDRESS says."""

_LOOPBACK = "127.0.0.1"
_CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's own: whether this machine's address is one that other machines reach."""

_UMASK = "RAYGEN_UMASK"

_SOCKET = "session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store"
"""The longest path of a socket in Ray's folder."""

log = logging.getLogger(__name__)


@contextlib.contextmanager
def joined_cluster(
    address: str | None,
    cpus: int,
    log_file: Path,
    *,
    loggers: Sequence[str],
    modules: Sequence[str] = (),
) -> Iterator[Any]:
    """Join a Ray cluster, or start one on this machine, while the context lasts.

    `address` is HOST:PORT or auto; None and `local` start one with `cpus` logical CPUs, which ends
    with the context. `loggers` are the loggers whose output goes to `log_file`. `modules` are paths
    of Python files or folders that travel to the nodes; to those of an existing cluster the two
    packages travel too. Yields what `ray.init` returns. Raises UserError if there is no cluster to
    be had.
    """
    import ray

    make_private(log_file.parent)
    redirect_logs(log_file, loggers)
    use_writable_home()
    address = None if address == LOCAL else address
    settings: dict[str, Any] = {
        "log_to_driver": False,
        "configure_logging": False,
        "job_config": _job_config(),
    }
    travelling = list(modules)
    if address:
        travelling += [str(Path(__file__).parents[2] / name) for name in PACKAGES]
        settings["address"] = _checked(address)
    else:
        use_private_token()
        settings |= {
            "address": LOCAL,
            "num_cpus": cpus,
            "include_dashboard": False,
            "_temp_dir": temp_folder(),
            "_node_ip_address": _LOOPBACK,
        }
    if travelling:
        settings["runtime_env"] = {"py_modules": travelling}
    with contextlib.nullcontext() if address else _on_loopback(), _logged_messages():
        try:
            yield start_twice(
                lambda: _init(settings), ray.shutdown, cluster_name(address), log_file
            )
        finally:
            ray.shutdown()


def use_callers_umask() -> None:
    """Give a worker of a local cluster the umask of whoever started it.

    Ray's own files are private, but the worker writes datasets and students, which are for others.
    """
    if umask := os.environ.get(_UMASK):
        os.umask(int(umask, 8))


def _init(settings: Mapping[str, Any]) -> Any:
    """Start or join Ray; the processes and files of a cluster that is started are private."""
    import ray

    if settings["address"] != LOCAL:
        return ray.init(**settings)
    umask = os.umask(0o077)
    os.environ[_UMASK] = f"{umask:03o}"
    try:
        return ray.init(**settings)
    finally:
        os.umask(umask)
        del os.environ[_UMASK]


@contextlib.contextmanager
def _logged_messages() -> Iterator[None]:
    """Log what Ray reports of its processes; it would print it between the lines of an answer."""
    import ray._private.worker as worker

    before = worker.print_to_stdstream
    logger = logging.getLogger("ray")
    worker.print_to_stdstream = lambda data, **_: logger.warning("%s", "\n".join(data["lines"]))
    try:
        yield
    finally:
        worker.print_to_stdstream = before


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Have Ray, here and in child processes, take the loopback address for this machine's.

    It does so by itself only where firewalls ask the user; elsewhere it makes an address of it that
    others can reach.
    """
    from ray._private import ray_constants

    before = os.environ.get(_CLUSTERS), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[_CLUSTERS], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before[1]
        if before[0] is None:
            del os.environ[_CLUSTERS]
        else:
            os.environ[_CLUSTERS] = before[0]


def temp_folder(environ: Mapping[str, str] = os.environ) -> str:
    """Say where a local cluster keeps its files and sockets: where nobody else may look.

    Ray opens its own folders to everybody, so they lie in one that isn't open. Raises UserError
    where no folder fits.
    """
    preferred = environ.get("RAY_TMPDIR") or environ.get("TMPDIR") or "/tmp"  # noqa: S108 - as Ray chooses
    folder = socket_folder(preferred, f"ray/{_SOCKET}")
    if folder is None:
        limit = room_for_folder(f"ray/{_SOCKET}")
        raise UserError(
            f"Ray finds no folder for its files: found {preferred!r}; expected one that can be "
            f"written to, with at most {limit} characters, since sockets lie in it; set RAY_TMPDIR "
            "to such a folder",
            1,
        )
    return f"{folder}/ray"


def use_private_token(environ: MutableMapping[str, str] = os.environ) -> None:
    """Make a local cluster's token if Ray couldn't, which writes it to ~/.ray.

    It stays for the life of the process, since Ray reads it once.
    """
    token = environ.get("RAY_AUTH_TOKEN") or environ.get("RAY_AUTH_TOKEN_PATH")
    if token or environ.get("RAY_AUTH_MODE", "").lower() == "disabled":
        return
    home = home_folder(environ)
    if home:
        _close(home / ".ray/auth_token")
    if home and (os.access(home / ".ray/auth_token", os.R_OK) or can_write(home / ".ray")):
        return
    handle, path = tempfile.mkstemp(prefix="ray-token-", dir=private_folder())
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
    atexit.register(Path(path).unlink, missing_ok=True)
    environ["RAY_AUTH_TOKEN_PATH"] = path


def _close(token: Path) -> None:
    """Take from others the right to read a token that an earlier Ray left open."""
    with contextlib.suppress(OSError):
        status = token.lstat()
        own = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
        if own and stat.S_IMODE(status.st_mode) & 0o077:
            token.chmod(0o600)


def start_twice(
    start: Callable[[], _Value], clean_up: Callable[[], None], what: str, log_file: Path
) -> _Value:
    """Start or join Ray, trying a second time after a failure, as on a machine that is too busy.

    `clean_up` runs before the second try; `what` and `log_file` name the cluster and its log in the
    message. Raises UserError.
    """
    try:
        return start()
    except (ConnectionError, ValueError) as error:  # another try would end alike
        raise UserError(f"can't reach or start {what}: {last_line(error)}", 1) from error
    except Exception as error:  # noqa: BLE001 - Ray raises bare ones, as for a node that is late
        log.warning("can't reach or start %s, trying once more: %s", what, last_line(error))
    clean_up()
    try:
        return start()
    except Exception as error:
        raise UserError(
            f"can't reach or start {what}: {last_line(error)}; where this machine is busy or short "
            f"of memory, try again when it is not; Ray's log is {log_file}",
            1,
        ) from error


def last_line(error: BaseException) -> str:
    """Return the last line of an error's message, where Ray names the cause."""
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _checked(address: str) -> str:
    """Resolve an address as Ray does, and check that a cluster answers there. Raises UserError."""
    from ray._private import services

    if address != "auto":
        check_form(address)
    try:
        resolved = str(services.canonicalize_bootstrap_address(address))
    except (ConnectionError, ValueError) as error:
        raise UserError(f"can't find {cluster_name(address)}: {last_line(error)}", 1) from error
    check_answer(resolved if address == "auto" else address, resolved)
    return resolved


def _job_config() -> Any:
    """Make a job whose workers import libraries before the user's files of the same names.

    Ray puts the current folder and the script's before everything else.
    """
    from ray.job_config import JobConfig

    config = JobConfig()
    config._py_driver_sys_path = _PackageFolder()
    return config


class _PackageFolder(list[str]):
    """The folders that a worker searches first: only the packages' own, if it has to be there.

    A worker wouldn't find packages that were imported from the folder where the command was given.
    """

    def __init__(self) -> None:
        packages = Path(__file__).resolve().parents[2]
        first = Path(sys.path[0] if sys.path else "").resolve()
        super().__init__([str(packages)] if packages == first else [])

    def extend(self, folders: object) -> None:
        """Ignore the folders that Ray adds."""
