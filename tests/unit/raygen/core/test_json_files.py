"""A file that is damaged, somebody else's or without an end: what and where, and never a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from raygen.core.json_files import DamagedFileError, parse_json_object, read_json_object


class Shape(BaseModel):
    name: str
    rows: list[int]


DAMAGE = {
    b"": "line 1, column 1: Expecting value",
    b'{"name": "a",\n "rows": [1,': "line 2, column 13: Expecting value",
    b"[1]": "found list",
    b"null": "found NoneType",
    b"\xff": "codec can't decode",
    b"[" * 100_000: "recursion",
    b'{"name": ' + b"9" * 5000 + b"}": "integer string conversion",
    b'{"name": "a"}': "rows: Field required",
    b'{"name": 5, "rows": []}': "name: Input should be a valid string",
    b'{"name": "a", "rows": [1, "2"]}': "rows.1: Input should be a valid integer",
}


@pytest.mark.parametrize("content", DAMAGE)
def test_damage_is_reported_with_its_file_and_position(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.json"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError) as raised:
        read_json_object(path, "what was written; write it again", Shape)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert DAMAGE[content] in message
    assert message.endswith("; expected what was written; write it again")


def test_an_object_of_the_shape_is_read_with_all_that_it_has(tmp_path: Path) -> None:
    value = {"name": "a", "rows": [1, 2], "more": {"x": None}}
    (tmp_path / "f.json").write_text(json.dumps(value))
    assert read_json_object(tmp_path / "f.json", "x", Shape) == value
    assert parse_json_object("{}", "f", "x") == {}


def test_a_file_without_an_end_is_not_read_to_it() -> None:
    with pytest.raises(DamagedFileError, match="/dev/zero: more than 67,108,864 bytes"):
        read_json_object(Path("/dev/zero"), "what was written")
