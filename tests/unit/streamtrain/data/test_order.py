"""The order that a student's file asks for."""

from __future__ import annotations

from typing import Any

import pytest

from streamtrain.config.student import StudentConfig
from streamtrain.data.stream import make_order


def config(**more: Any) -> StudentConfig:
    return StudentConfig.model_validate({"student": "s", "version": 1, "model": "m", **more})


@pytest.mark.parametrize(
    ("stream", "optim", "reuse"),
    [
        ({}, {"epochs": 3}, 1),
        ({"starved": "replay"}, {"epochs": 3}, 3),
        ({"starved": "replay"}, {"max_steps": 9}, 4),
        ({"starved": "replay", "reuse": 2}, {"epochs": 3}, 2),
        ({"starved": "replay", "reuse": 7}, {"max_steps": 9}, 7),
    ],
)
def test_how_often_a_row_is_used_while_waiting(
    stream: dict[str, Any], optim: dict[str, Any], reuse: int
) -> None:
    assert make_order(config(stream=stream, optim=optim)).reuse == reuse


def test_pairs_are_units_of_two_rows() -> None:
    order = make_order(
        config(data={"pairs": True}, optim={"batch": 8, "epochs": 2}, stream={"shuffle": 10})
    )
    assert (order.batch, order.shuffle, order.unit, order.epochs) == (4, 5, "pair", 2)
