"""Rating: which keys give which verdicts, what is saved when, and what isn't told."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from raygen.cli.rating import rate
from raygen.inspection.browse.catalogue import Catalogue, Items
from raygen.inspection.browse.verdicts import Verdict
from tests.support.screens import FakeScreen
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe


class Rated:
    """Verdicts as they are saved, one moment after the other."""

    def __init__(self, items: Items) -> None:
        self.items = items
        self.saved: list[dict[str, Verdict]] = []

    def __call__(self, verdicts: Mapping[str, Verdict]) -> None:
        self.saved.append(dict(verdicts))

    def rate(self, keys: str, *notes: str) -> tuple[int, FakeScreen]:
        former = list(self.saved[-1].values()) if self.saved else []
        screen = FakeScreen(keys, notes=notes)
        task = self.items.catalogue.opened.task
        return rate(self.items, "plan", former, self, screen, (task, False)), screen

    @property
    def words(self) -> list[str]:
        last = self.saved[-1]
        return [last[ref.id].verdict if ref.id in last else "-" for ref in self.items.refs]


@pytest.fixture(scope="module")
def quiz(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    recipe = write_recipe(tmp_path_factory.mktemp("quiz"), QUIZ, questions(10))
    return Catalogue(str(make_dataset(recipe)))


@pytest.fixture
def rated(quiz: Catalogue) -> Rated:
    return Rated(quiz.items([*quiz.examples().refs[:2], *quiz.rejects().refs[:2]]))


def test_every_verdict_is_saved_at_once(rated: Rated) -> None:
    left, _ = rated.rate("kfx")
    assert left == 2
    assert [len(saved) for saved in rated.saved] == [1, 2]
    assert rated.words == ["keep", "fix", "-", "-"]


def test_a_second_call_goes_on_where_the_first_stopped(rated: Rated) -> None:
    rated.rate("kf")
    left, screen = rated.rate("dd")
    assert left == 0
    assert screen.shown[0].splitlines()[-1].startswith("3 of 4")
    assert rated.words == ["keep", "fix", "drop", "drop"]
    assert rated.rate("k")[1].shown == []


def test_undo_repeats_the_question(rated: Rated) -> None:
    left, _ = rated.rate("ukuk")
    assert left == 3
    assert rated.words == ["keep", "-", "-", "-"]
    assert [len(saved) for saved in rated.saved] == [1, 0, 1]


def test_a_note_goes_with_the_next_verdict(rated: Rated) -> None:
    _, screen = rated.rate("nkd", "a fine one")
    assert "note: a fine one" in screen.shown[1]
    assert "note:" not in screen.shown[2].replace("n note", "")
    first, second = rated.saved[-1].values()
    assert (first.note, second.note) == ("a fine one", "")


def test_nothing_tells_what_became_of_a_row(rated: Rated) -> None:
    _, screen = rated.rate("kkkk")
    assert len(screen.shown) == 4
    for shown in screen.shown:
        content = shown.rsplit("\n", 1)[0]
        assert not any(
            word in content
            for word in (
                "kept",
                "dropped",
                "no_answer",
                "wrong_answer",
                "agreement",
                "confidence",
                "distinct_answers",
            )
        )
    verdicts = list(rated.saved[-1].values())
    assert [verdict.reason for verdict in verdicts] == [None, None, "no_answer", "wrong_answer"]
    assert {verdict.plan for verdict in verdicts} == {"plan"}
