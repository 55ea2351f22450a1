"""An address is tried before Ray is: what answers there, and whoever named it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from raygen.core.errors import UserError
from raygen.core.ray_address import check_answer, check_form, cluster_name, joining_words

GRPC_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does this with each connection; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def free_address() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"127.0.0.1:{listening.getsockname()[1]}"


def refusal(address: str) -> str:
    with pytest.raises(UserError) as raised:
        check_answer(address, patience_s=0.0)
    assert raised.value.exit_code == 1
    return str(raised.value)


def test_a_grpc_server_may_be_a_cluster() -> None:
    with server(lambda connection: connection.sendall(GRPC_SETTINGS)) as address:
        check_answer(address, patience_s=0.0)


def test_an_address_where_nothing_answers_is_named_with_the_variable_it_came_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = free_address()
    monkeypatch.setenv("RAY_ADDRESS", address)
    message = refusal(address)
    assert message.startswith(f"no Ray cluster answers at {address} (RAY_ADDRESS): ")
    assert message.endswith(", or unset RAY_ADDRESS to run on this machine alone")


def test_an_address_of_the_command_line_is_not_attributed_to_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert "RAY_ADDRESS" not in refusal(free_address())


@pytest.mark.parametrize(
    "answer",
    [
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda connection: connection.sendall(b"-ERR unknown command\r\n"),
        lambda connection: None,
    ],
    ids=["a dashboard", "a database", "one that hangs up"],
)
def test_what_answers_may_be_no_cluster(answer: Callable[[socket.socket], None]) -> None:
    with server(answer) as address:
        message = refusal(address)
    assert message.startswith(f"something answers at {address}, but it is no Ray cluster")
    assert "8265" in message


def test_a_server_with_tls_is_left_to_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with server(lambda connection: None) as address:
        check_answer(address, patience_s=0.0)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8265", "ray://head:10001", "head", "head:ray", ":6379", ""]
)
def test_what_is_no_address_of_a_cluster_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="expected HOST:PORT as `ray start --head` prints it"):
        check_form(address)


def test_what_ray_makes_of_an_address_is_what_must_answer() -> None:
    with server(lambda connection: connection.sendall(GRPC_SETTINGS)) as reached_at:
        check_form("localhost:6379")
        check_answer("localhost:6379", reached_at, patience_s=0.0)
        with pytest.raises(UserError, match=f"answers at {reached_at}: "):
            check_answer(reached_at, free_address(), patience_s=0.0)


def test_a_cluster_that_is_being_started_is_waited_for() -> None:
    address = free_address()
    host, port = address.split(":")

    def late() -> None:
        with socket.create_server((host, int(port))) as listening:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(GRPC_SETTINGS)

    starting = threading.Timer(0.2, late)
    starting.start()
    check_answer(address, patience_s=30.0)
    starting.join()


def test_what_is_joined_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    assert joining_words(None) == "starting Ray"
    assert joining_words("head:6379") == "joining Ray at head:6379"
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert joining_words("head:6379") == "joining Ray at head:6379 (RAY_ADDRESS)"
    assert cluster_name("head:6379") == "the Ray cluster at head:6379 (RAY_ADDRESS)"
    assert cluster_name(None) == "a local Ray cluster"
