"""Pictures: the right kind of file, with all that they are to show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raygen.core.stats import wilson
from streamtrain.errors import InputError
from streamtrain.plots import Dot, Heatmap, Lines, check_picture, curves, dots, heatmap

HEAT = Heatmap(
    values=[[0.1, None], [0.9, 0.5]],
    texts=[["co$t_x", ""], ["answering", "\n"]],
    rows=["upper", "lower"],
    columns=["left", "漢"],
    title="a $ and a $",
    row_axis="down",
    column_axis="across",
    scale="share",
)


def texts(file: Path) -> str:
    """An SVG's texts: matplotlib draws letters as shapes, and says in a comment which."""
    return file.read_text("utf-8")


def test_a_coloured_table_shows_all_its_words(tmp_path: Path) -> None:
    heatmap([HEAT, replace(HEAT, title="second")], tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    for word in ("co$t_x", "answeri…", "⏎", "□", "upper", "across", "a $ and a $", "second"):
        assert f"<!-- {word} -->" in found
    assert [file.name for file in tmp_path.iterdir()] == ["a.svg"]


def test_a_marked_cell_has_a_frame(tmp_path: Path) -> None:
    heatmap([HEAT], tmp_path / "plain.svg")
    heatmap([replace(HEAT, marked=frozenset({(1, 0)}))], tmp_path / "marked.svg")
    assert texts(tmp_path / "plain.svg").count("#d62728") == 0
    assert texts(tmp_path / "marked.svg").count("#d62728") == 1


def test_curves_have_names_and_a_level(tmp_path: Path) -> None:
    lines = Lines([("one", [0.1, 0.2]), ("two", [0.3])], "x", "y", "title", ("sure", 0.6))
    curves(lines, tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    assert all(f"<!-- {word} -->" in found for word in ("one", "two", "sure", "x", "y", "title"))


def test_dots_have_groups_series_and_chance(tmp_path: Path) -> None:
    dots([Dot("set", "run", 0.5, 0.4, 0.6)], [("set", 0.25)], "accuracy", tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    assert all(f"<!-- {word} -->" in found for word in ("set", "run", "chance", "accuracy"))


def test_students_that_are_always_or_never_right_are_drawn(tmp_path: Path) -> None:
    found = [Dot("set", f"{n} of {n}", 1.0, *wilson(n, n)) for n in range(1, 40)]
    found += [Dot("set", f"0 of {n}", 0.0, *wilson(0, n)) for n in range(1, 40)]
    found.append(Dot("set", "kept", 1.0, 0.7, 1.0 - 1e-16))
    dots(found, [("set", 0.25)], "accuracy", tmp_path / "a.svg")
    assert (tmp_path / "a.svg").exists()


def test_the_suffix_says_what_kind_of_picture(tmp_path: Path) -> None:
    heatmap([HEAT], tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    check_picture(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"found \.jpg; a picture is one of \.png, \.svg"):
        check_picture(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="there is no folder"):
        check_picture(tmp_path / "no" / "a.png")
