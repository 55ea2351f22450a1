"""Which addresses are of the public network, however they are written."""

from __future__ import annotations

import pytest

from raygen.core.access import private_host


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "localhost..",
        "LOCALHOST",
        ".",
        "a..b",
        "0",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "2130706433",
        "127.1",
        "127.0.0.1.",
        "10.0.0.7",
        "100.64.0.1",
        "169.254.169.254",
        "[::1]",
        "[::]",
        "[::ffff:10.0.0.7]",
        "[::10.0.0.7]",
        "[2002:a00:7::]",
        "[64:ff9b::a00:7]",
        "[fd00::1]",
        "[fe80::1%25lo]",
        "[fe80::1%lo]",
        "[fec0::1]",
        "[ff02::1]",
        "[::1",
        "no.invalid",
        "x" * 70,
        "user@127.0.0.1",
        "1.1.1.1@127.0.0.1",
    ],
)
def test_no_host_of_a_private_network_or_of_none(host: str) -> None:
    assert private_host(f"http://{host}/rows.jsonl", "") is not None
    assert private_host(f"git+ssh://{host}/rows.jsonl", "http://other.example/") is not None


@pytest.mark.parametrize("host", ["1.1.1.1", "[2606:4700::1111]", "[::ffff:1.1.1.1]"])
def test_a_public_address_is_none(host: str) -> None:
    assert private_host(f"https://{host}/rows.jsonl", "") is None


def test_the_host_that_a_recipe_came_from_is_let_through() -> None:
    assert private_host("http://127.0.0.1:9/x", "http://127.0.0.1:8/recipe.yaml") is None
    assert private_host("http://127.0.0.1:9/x", "http://127.0.0.2:8/recipe.yaml") is not None
