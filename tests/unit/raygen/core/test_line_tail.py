"""Lines of a file that grows, is replaced, or was left in the middle of a line."""

from __future__ import annotations

from pathlib import Path

from raygen.core import LineTail


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_line_is_read_once_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    tail = LineTail(path)
    assert tail.read() == []
    append(path, b"one\ntw")
    assert tail.read() == [b"one"]
    assert tail.read() == []
    append(path, b"o\n")
    assert tail.read() == [b"two"]


def test_a_file_in_its_place_is_read_from_the_beginning(tmp_path: Path) -> None:
    path, other = tmp_path / "lines", tmp_path / "other"
    append(path, b"one\n")
    tail = LineTail(path)
    assert tail.read() == [b"one"]
    append(other, b"new and longer\n")
    other.replace(path)
    assert tail.read() == [b"new and longer"]
    path.write_bytes(b"short\n")
    assert tail.read() == [b"short"]


def test_what_was_there_can_be_passed_over_with_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append(path, b"old\nhalf")
    tail = LineTail(path)
    tail.skip()
    append(path, b"new\n")
    assert tail.read() == [b"new"]
