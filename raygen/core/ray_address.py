"""Check the address of a Ray cluster: whether one answers there, and where the address is from.

Ray itself waits for 14 minutes where nothing answers. Knows nothing of Ray but that its clusters
are gRPC servers.
"""

from __future__ import annotations

import os
import socket
import time

from raygen.core.errors import UserError

_PATIENCE_S = 20.0
"""How long an address may stay silent; a cluster that is being started takes some seconds."""

_CONNECT_S = 10.0
_PAUSE_S = 1.0

_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""A client's preface and its empty settings; a gRPC server, as Ray's is one, answers with its own
settings, any other server with something else or not at all."""

_SETTINGS = 4


def joining_words(address: str | None) -> str:
    """Say what happens while a cluster is joined or started."""
    return f"joining Ray at {address}{_origin(address)}" if address else "starting Ray"


def check_form(address: str) -> None:
    """Check that an address is HOST:PORT. Raises UserError."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise UserError(
            f"{address}{_origin(address)} is no address of a Ray cluster; expected HOST:PORT as "
            "`ray start --head` prints it, with port 6379 where nothing else was said, or auto"
            f"{_advice(address)}",
            1,
        )


def check_answer(
    address: str, reached_at: str | None = None, *, patience_s: float = _PATIENCE_S
) -> None:
    """Check that a Ray cluster answers at HOST:PORT, for which Ray itself would wait 14 minutes.

    `reached_at` is Ray's own form of the address: it takes localhost for the machine's address.
    Waits up to `patience_s` seconds. Raises UserError.
    """
    named = f"{address}{_origin(address)}"
    host, _, port = (reached_at or address).rpartition(":")
    until = time.monotonic() + patience_s
    while True:
        try:
            where = (host.strip("[]"), int(port))
            with socket.create_connection(where, timeout=_CONNECT_S) as connection:
                if os.environ.get("RAY_USE_TLS") in (None, "", "0") and not _is_grpc(connection):
                    raise UserError(
                        f"something answers at {named}, but it is no Ray cluster; expected the "
                        "address that `ray start --head` prints, with port 6379 where nothing else "
                        "was said (8265 is the dashboard's, 10001 that of Ray Client)",
                        1,
                    )
                return
        except OSError as error:
            if time.monotonic() >= until:
                raise UserError(
                    f"no Ray cluster answers at {named}: {error}; start it with `ray start "
                    f"--head`, name another one{_advice(address)}",
                    1,
                ) from error
        time.sleep(_PAUSE_S)


def cluster_name(address: str | None) -> str:
    """Name a cluster in a message, with where its address comes from."""
    return f"the Ray cluster at {address}{_origin(address)}" if address else "a local Ray cluster"


def _origin(address: str | None) -> str:
    """Say where an address comes from if it is neither the command line nor a profile."""
    return " (RAY_ADDRESS)" if address and address == os.environ.get("RAY_ADDRESS") else ""


def _advice(address: str) -> str:
    return ", or unset RAY_ADDRESS to run on this machine alone" if _origin(address) else ""


def _is_grpc(connection: socket.socket) -> bool:
    """Tell whether a server speaks HTTP/2 without TLS, as gRPC does."""
    connection.settimeout(_CONNECT_S)
    connection.sendall(_HTTP2_HELLO)
    try:
        answer = connection.recv(9)
    except OSError:
        return False
    return len(answer) > 3 and answer[3] == _SETTINGS
