"""A recipe's schema and a model's answer: what fits, and schemas that never end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from raygen.checks import find_mismatch, json_schema
from raygen.core.limited import Limits

SLOW = "(a+)+$"
HOSTILE = "a" * 40 + "!"
_DOUBLED = {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)}
ENDLESS: list[tuple[Any, dict[str, Any]]] = [
    ([HOSTILE], {"items": {"anyOf": [{"not": {"pattern": SLOW}}]}}),
    ({HOSTILE: 1}, {"patternProperties": {SLOW: True}, "additionalProperties": False}),
    (1, {"$ref": "#/$defs/0", "$defs": {**_DOUBLED, "40": {"type": "integer"}}}),
]


@pytest.fixture(scope="module", autouse=True)
def limited() -> Iterator[None]:
    """A limit that is reached soon."""
    with pytest.MonkeyPatch.context() as patch:
        limits = Limits(memory=256 * 1024 * 1024, cpu_s=0.2, wall_s=250)
        patch.setattr(json_schema, "_LIMITS", limits)
        yield


@pytest.mark.parametrize(
    ("value", "schema", "message"),
    [
        ({"a": 1}, {"properties": {"a": {"type": "integer"}}, "required": ["a"]}, None),
        ({}, {"required": ["a"]}, "'a' is a required property"),
        ("ab", {"pattern": "^a"}, None),
        ("b", {"pattern": "^a"}, "'b' does not match '^a'"),
        ([1, "a"], {"items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}},
         "'a' is not of type 'integer'"),
        ("a", {"$schema": "http://json-schema.org/draft-04/schema#", "type": "string"}, None),
    ],
)  # fmt: skip
def test_an_answer_is_held_to_its_schema(value: Any, schema: Any, message: str | None) -> None:
    assert find_mismatch(value, schema) == message


@pytest.mark.parametrize(("value", "schema"), ENDLESS)
def test_a_schema_without_end_is_an_error(value: Any, schema: Any) -> None:
    assert "takes more than 0.2 s of computing" in (find_mismatch(value, schema) or "")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"anyOf": [{"type": "string"}, {"not": {"allOf": [{"$ref": "#"}]}}]},
        {"$dynamicAnchor": "x", "$dynamicRef": "#x"},
    ],
)
def test_a_schema_that_refers_to_itself_is_an_error(schema: Any) -> None:
    problem = find_mismatch(1, schema) or ""
    assert "refers to itself without an end, or the answer nests too deeply" in problem


def test_a_schema_that_refers_to_itself_fits_what_nests() -> None:
    tree = {"type": "array", "items": {"$ref": "#"}}
    deep: list[Any] = []
    for _ in range(20):
        deep = [deep]
    assert find_mismatch(deep, tree) is None
    assert find_mismatch([[[1]]], tree) == "1 is not of type 'array'"
    for _ in range(20_000):
        deep = [deep]
    assert "nests too deeply" in (find_mismatch(deep, tree) or "")


def test_a_schema_reads_nothing_but_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        for ref in (url, "file:///etc/passwd"):
            assert "no part of it" in (find_mismatch(1, {"$ref": ref}) or "")
        with pytest.raises(BlockingIOError):
            server.accept()
