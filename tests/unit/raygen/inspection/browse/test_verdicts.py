"""Samples for people, their verdicts on disk, and the figures that follow from them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from raygen.core.errors import UserError
from raygen.core.stats import wilson
from raygen.dataset.records import DatasetError
from raygen.dataset.storage import Folder
from raygen.inspection.browse.filter_precision import NodePrecision, Precision, precision
from raygen.inspection.browse.item import ItemRef
from raygen.inspection.browse.verdicts import (
    Verdict,
    Word,
    check_rater,
    draw_sample,
    read_verdicts,
    stratum,
    write_verdicts,
)
from raygen.views.browse import precision_view
from tests.support.screens import printed

EXAMPLES = [ItemRef(f"kept-{i}", f"row-{i}", "last") for i in range(50)]
LONG = [ItemRef(f"long-{i}", f"row-{i}", "short", "long") for i in range(3)]
WRONG = [ItemRef(f"wrong-{i}", f"row-{i}", "right", "wrong") for i in range(40)]
TIED = [ItemRef(f"tied-{i}", f"row-{i}", "right", "tie") for i in range(40)]
REFS = [*EXAMPLES, *LONG, *WRONG, *TIED]
NODES = ["short", "right", "last"]


def verdicts_on(word: Word, *refs: ItemRef, plan: str = "plan") -> list[Verdict]:
    return [Verdict.on(ref, plan, word, "") for ref in refs]


def of(result: Precision, rater: str, node: str | None, reason: str | None = None) -> NodePrecision:
    figures = next(rated.figures for rated in result.raters if rated.rater == rater)
    return next(figure for figure in figures if (figure.node, figure.reason) == (node, reason))


def test_examples_and_each_nodes_rejects_are_strata_of_equal_size() -> None:
    drawn = draw_sample(REFS, 50, 0)
    assert Counter(map(stratum, drawn)) == {"short": 3, "right": 23, None: 24}
    assert len({ref.id for ref in drawn}) == 50
    assert len(draw_sample(REFS, 1000, 0)) == len(REFS)


def test_a_sample_is_its_seeds_whatever_the_order_of_the_rows() -> None:
    drawn = draw_sample(REFS, 20, 7)
    assert draw_sample(list(reversed(REFS)), 20, 7) == drawn
    assert draw_sample(REFS, 20, 8) != drawn
    assert set(drawn) < set(draw_sample(REFS, 30, 7))


def test_the_order_tells_nothing_of_what_became_of_a_row() -> None:
    kept = [ref.kept for ref in draw_sample(REFS, 40, 0)]
    assert kept != sorted(kept)
    assert kept != sorted(kept, reverse=True)


def test_rows_that_cant_be_judged_are_passed_over() -> None:
    drawn = draw_sample(REFS, 6, 0, lambda ref: ref.kept or ref.id.endswith("1"))
    assert Counter(map(stratum, drawn)) == {None: 3, "right": 2, "short": 1}
    assert all(ref.kept or ref.id.endswith("1") for ref in drawn)


def test_verdicts_come_back_as_they_were(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path)
    verdict = Verdict.on(WRONG[0], "plan", "fix", "snow isn't sand")
    write_verdicts(folder, "ann", {verdict.item: verdict})
    write_verdicts(folder, "bob", {})
    assert read_verdicts(folder) == {"ann": [verdict], "bob": []}
    assert sorted(path.name for path in (tmp_path / "verdicts").iterdir()) == [
        "ann.json",
        "bob.json",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": 2, "rater": "ann", "verdicts": []}', "is of version 2"),
        ('{"version": 1, "rater": "ann", "verdicts": [{"item": "x"}]}', "can't be read"),
        ('{"version": 1}', "can't be read: 'verdicts'"),
        ("{", "can't be read"),
    ],
)
def test_a_file_that_is_none_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    folder = Folder.at(tmp_path)
    folder.write_text("verdicts/ann.json", text)
    with pytest.raises(DatasetError, match=message):
        read_verdicts(folder)


def test_a_word_that_is_no_verdict_is_an_error(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path)
    (verdict,) = verdicts_on("keep", EXAMPLES[0])
    write_verdicts(folder, "ann", {verdict.item: verdict})
    path = tmp_path / "verdicts" / "ann.json"
    path.write_text(path.read_text().replace('"keep"', '"kep"'))
    with pytest.raises(DatasetError, match="verdict 'kep'"):
        read_verdicts(folder)


@pytest.mark.parametrize("name", ["", "../ann", "a b", ".ann"])
def test_a_rater_is_named_as_a_file_can_be(name: str) -> None:
    with pytest.raises(UserError, match="--rater"):
        check_rater(name)


def test_precision_is_the_share_that_people_agree_with() -> None:
    verdicts = [
        *verdicts_on("keep", *EXAMPLES[:8]),
        *verdicts_on("fix", EXAMPLES[8]),
        *verdicts_on("drop", *WRONG[:6]),
        *verdicts_on("keep", *WRONG[6:8], TIED[0]),
    ]
    result = precision("plan", NODES, REFS, {"ann": verdicts})
    examples = of(result, "ann", None)
    assert (examples.total, examples.judged, examples.keep, examples.fix, examples.drop) == (
        50,
        9,
        8,
        1,
        0,
    )
    assert examples.share == 8 / 9
    assert (examples.low, examples.high) == wilson(8, 9)
    node, wrong = of(result, "ann", "right"), of(result, "ann", "right", "wrong")
    assert (node.total, node.judged, node.share) == (80, 9, 6 / 9)
    assert (wrong.total, wrong.judged, wrong.share) == (40, 8, 6 / 8)
    unjudged = of(result, "ann", "short")
    assert (unjudged.total, unjudged.judged, unjudged.share) == (3, 0, None)
    assert [(figure.node, figure.reason) for figure in result.raters[0].figures] == [
        (None, None),
        ("short", None),
        ("right", None),
        ("right", "tie"),
        ("right", "wrong"),
    ]
    assert json.loads(json.dumps(result.to_json()))["raters"][0]["rater"] == "ann"


def test_several_raters_are_counted_by_majority() -> None:
    result = precision(
        "plan",
        NODES,
        REFS,
        {
            "ann": verdicts_on("drop", *WRONG[:4]),
            "bob": [*verdicts_on("drop", *WRONG[:2]), *verdicts_on("keep", WRONG[2])],
            "eve": [*verdicts_on("drop", WRONG[0]), *verdicts_on("fix", WRONG[1])],
        },
    )
    assert [rated.rater for rated in result.raters] == ["ann", "bob", "eve", "together"]
    together = of(result, "together", "right")
    assert (together.drop, together.keep, together.judged) == (3, 0, 3)
    assert (result.shared, result.agreed, result.disputed) == (3, 1, 1)


def test_verdicts_on_another_plans_rows_dont_count() -> None:
    verdicts = [*verdicts_on("drop", WRONG[0]), *verdicts_on("keep", WRONG[1], plan="older")]
    result = precision("plan", NODES, REFS, {"ann": verdicts})
    assert of(result, "ann", "right").judged == 1
    assert result.stale == 1
    assert "1 verdict on rows of other versions of the recipe" in printed(precision_view(result))


def test_the_report_reads_at_a_glance() -> None:
    verdicts = [*verdicts_on("keep", *EXAMPLES[:9]), *verdicts_on("drop", EXAMPLES[9], *WRONG[:3])]
    shown = printed(precision_view(precision("plan", NODES, REFS, {"ann": verdicts})))
    assert "ann: 13 items judged" in shown
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "kept 50 10 9 0 1 90 % 60 to 98 %" in lines
    assert "dropped by right 80 3 0 0 3 100 % 44 to 100 %" in lines
    assert "dropped by short 3 0 0 0 0" in lines
