"""What a catalogue finds in a dataset that real ops made on the fake engine."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from raygen.core.errors import UserError
from raygen.inspection.browse.catalogue import Catalogue, ItemFilter, Items
from raygen.inspection.browse.item import Item
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe


@pytest.fixture(scope="module")
def quiz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = write_recipe(tmp_path_factory.mktemp("quiz"), QUIZ, questions(12))
    return make_dataset(recipe)


def every(items: Items) -> list[Item]:
    return [items[number] for number in range(len(items))]


def rewritten(quiz: Path, tmp_path: Path, change: Any) -> Path:
    """A copy of the dataset whose plan.json says something else."""
    copy = tmp_path / "copy"
    for file in quiz.rglob("*"):
        if file.is_file():
            target = copy / file.relative_to(quiz)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    plan = json.loads((copy / "plan.json").read_text())
    change(plan)
    (copy / "plan.json").write_text(json.dumps(plan))
    return copy


def test_the_examples_come_in_the_order_of_the_source(quiz: Path) -> None:
    items = every(Catalogue(str(quiz)).examples())
    assert [item.data["question"] for item in items] == [
        f"What falls #{i}?" for i in range(1, 13) if i != 10
    ]
    assert {item.data["rationale"] for item in items} == {"Snow is cold."}
    assert all(item.source["choices"] == ["sand", "snow"] for item in items)


def test_every_reject_is_the_row_that_was_dropped(quiz: Path) -> None:
    catalogue = Catalogue(str(quiz))
    items = every(catalogue.rejects())
    assert Counter((item.ref.node, item.ref.reason) for item in items) == {
        ("rationales", "no_answer"): 12,
        ("short", "long"): 2,
        ("right", "wrong_answer"): 11,
    }
    assert len({item.ref.id for item in items}) == 25
    assert all(item.exact for item in items)
    for item in items:
        if item.ref.node == "rationales":
            assert item.completions == ("I do not know.",)
            assert "rationale" not in item.data
        elif item.ref.node == "right":
            assert item.data["rationale"] == "Sand is dry."
        else:
            assert item.data["question"] == "What falls in winter #10?"
    reopened = Catalogue(str(quiz)).rejects()
    assert [ref.id for ref in reopened.refs] == [item.ref.id for item in items]


@pytest.mark.parametrize(
    ("criteria", "number"),
    [
        (ItemFilter(view="positive"), 11),
        (ItemFilter(node="right"), 11),
        (ItemFilter(find="FALLS #12"), 1),
        (ItemFilter(find="nowhere"), 0),
        (ItemFilter(rejected=True, reason="wrong_answer"), 11),
        (ItemFilter(rejected=True, node="short"), 2),
        (ItemFilter(rejected=True, find="in winter"), 3),
        (ItemFilter(rejected=True, find="do not know", node="right"), 0),
        (ItemFilter(rejected=True, view="positive"), 13),
    ],
)
def test_items_match_all_criteria(quiz: Path, criteria: ItemFilter, number: int) -> None:
    assert len(Catalogue(str(quiz)).find(criteria)) == number


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        (ItemFilter(view="positiv"), "--view positiv: no example has it; did you mean 'positive'"),
        (ItemFilter(node="short"), "--node short: no example has it"),
        (ItemFilter(rejected=True, reason="wrong_answers"), "did you mean 'wrong_answer'"),
    ],
)
def test_a_name_that_no_item_has_is_an_error(
    quiz: Path, criteria: ItemFilter, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Catalogue(str(quiz)).find(criteria)


@pytest.mark.parametrize(
    ("node", "change", "message"),
    [
        (1, {"op": "of-another-package"}, "isn't installed here"),
        (2, {"op_version": 7}, "node 'right' ran version 7 of 'filter', and here is version 1"),
        (2, {"params": {"other": 1}}, "takes other parameters now"),
    ],
)
def test_where_ops_are_others_rejects_show_their_source_row(
    quiz: Path, tmp_path: Path, node: int, change: dict[str, Any], message: str
) -> None:
    copy = rewritten(quiz, tmp_path, lambda plan: plan["nodes"][node].update(change))
    catalogue = Catalogue(str(copy))
    assert message in catalogue.unknown
    items = every(catalogue.find(ItemFilter(rejected=True, node="rationales")))
    assert [item.exact for item in items] == [False] * 12
    assert items[0].data == items[0].source
    assert len(items[0].completions) == 3


def test_a_replay_that_ends_otherwise_is_not_believed(quiz: Path, tmp_path: Path) -> None:
    def change(plan: dict[str, Any]) -> None:
        plan["nodes"][2]["params"]["where"] = "true"

    catalogue = Catalogue(str(rewritten(quiz, tmp_path, change)))
    assert catalogue.unknown == ""
    exact = {item.data["question"] for item in every(catalogue.rejects()) if item.exact}
    assert exact == {"What falls in winter #10?"}, "the one question that `right` never saw"


def test_examples_need_no_copy_of_the_source(quiz: Path, tmp_path: Path) -> None:
    copy = rewritten(quiz, tmp_path, lambda plan: None)
    for file in (copy / "source").iterdir():
        file.unlink()
    catalogue = Catalogue(str(copy))
    assert len(every(catalogue.examples())) == 11
    assert all(item.data == {} for item in every(catalogue.rejects()))


def test_items_are_read_in_chunks(tmp_path: Path) -> None:
    catalogue = Catalogue(str(make_dataset(write_recipe(tmp_path, QUIZ, questions(80)))))
    items = catalogue.examples()
    assert items[70].data["question"].endswith("#78?")
    assert items[3].data["question"].endswith("#4?")
    with pytest.raises(IndexError):
        items[72]


def test_a_folder_without_a_plan_is_refused(quiz: Path, tmp_path: Path) -> None:
    copy = rewritten(quiz, tmp_path, lambda plan: plan.update(hash="other"))
    with pytest.raises(UserError, match=r"no plan\.json of its newest rows"):
        Catalogue(str(copy))
