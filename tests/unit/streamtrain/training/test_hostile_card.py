"""A student's card in which every name and text tries to be markup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from streamtrain.config.student import StudentConfig
from streamtrain.data.dataset import DatasetFacts
from streamtrain.evaluation.records import EvaluationRecord
from streamtrain.training.card import model_card
from tests.support.hostile_texts import harmful
from tests.unit.raygen.share.test_hostile_card import MARKUP, kinds, parse, structure

NASTY = "x`|<script>alert(1)</script> [a](http://evil) ![i](http://evil/i.png)\n\n# b\n---\n```\n"


def card_of(text: Callable[[str], Any]) -> str:
    """A card in which `text` makes each text and number of its files."""
    labels = [text("yes"), text("no")]
    config = StudentConfig.model_validate(
        {
            "student": "s",
            "version": 1,
            "model": text("org/model"),
            "revision": text("main"),
            "kind": "classifier",
            "data": {"labels": labels, "input": "{{ text }}" + text("Q").replace("{", "")},
            "evaluate": {"report": text("dev.jsonl")},
        }
    )
    figures = {"accuracy": 0.5, "low": 0.1, "high": 0.9, "chance": 0.2}
    figures |= {"total": text("4"), "unparsed": text("0")}
    records = [EvaluationRecord(text("dev"), figures, ())]
    facts = DatasetFacts(
        text("recipe"), {text("teacher"): text("o/t")}, (text("generate"),), 1, 1, 0, 0, 1,
        text("content"), ((text("node"), text("why"), 3),),
    )  # fmt: skip
    result = {name: text("1") for name in ("steps", "rows", "tokens", "cut", "plan")}
    result |= {"left_out": {text("reason"): text("2")}, "selected": {"step": text("3")}}
    return model_card(config, result, records, facts)


@pytest.mark.parametrize("nasty", [NASTY, *filter(str.isascii, MARKUP), "a\u202egnp.exe\u202cb"])
def test_a_card_of_hostile_texts_has_the_structure_of_an_honest_one(nasty: str) -> None:
    counted = iter(range(10, 99))
    hostile = card_of(lambda _: f"{nasty}{next(counted)}")
    honest = card_of(lambda text: text)
    _, head, body = hostile.split("---\n", 2)
    assert set(yaml.safe_load(head)) == {"tags", "base_model"}
    assert structure(body) == structure(honest.split("---\n", 2)[2])
    assert kinds(body) & {"html_inline", "html_block", "image", "link_open"} == set()
    outside = "".join(token.content for token in parse(body) if token.type != "fence")
    assert not harmful(outside)
