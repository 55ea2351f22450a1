"""How ops, plans and a status read, and that all of it fits into 80 columns."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console, RenderableType

from raygen.dataset.status import DatasetStatus
from raygen.engines.base import EngineSpec
from raygen.ops.registry import built_in
from raygen.plan import Node, Plan
from raygen.task import TASKS
from raygen.views import op_json, op_view, ops_view, plan_view, status_view, type_name

STATUS = DatasetStatus(
    plan="9f2c",
    run="r1",
    ended=None,
    source=64,
    kept=50,
    dropped=12,
    failed=2,
    pending=0,
    outside=3,
    examples=1097,
    calls=64,
    prompt_tokens=5432,
    output_tokens=12345,
    seconds=10.0,
    rejects=(("correct", "wrong_[answer]", 80),),
    errors=(("correct: TypeError: x", 2),),
    nodes={"rationales": (64, 180, 12)},
)


def text_of(view: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    return "\n".join(lines)


def test_every_op_is_listed_with_its_first_sentence() -> None:
    text = text_of(ops_view(built_in().values()))
    assert all(f"\n{name} " in text for name in built_in())
    assert "filter             no" in text


@pytest.mark.parametrize("name", sorted(built_in()))
def test_an_op_shows_every_parameter(name: str) -> None:
    op = built_in()[name]
    text = text_of(op_view(op))
    for parameter in op.params.model_json_schema()["properties"]:
        assert f"\n{parameter}" in text
    assert "    " not in text.split("\n\nparameter")[0]
    assert json.loads(json.dumps(op_json(op)))["name"] == name


def test_an_op_shows_types_defaults_and_what_is_required() -> None:
    lines = text_of(op_view(built_in()["filter"])).splitlines()
    assert next(line for line in lines if line.startswith("where")).split()[:3] == [
        "where",
        "text",
        "required",
    ]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"type": "integer"}, "integer"),
        ({"enum": ["a", "b"]}, "a | b"),
        ({"const": "a"}, "a"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"type": "array", "items": {"$ref": "#/$defs/D"}}, "list of mapping"),
        ({"type": "array"}, "list"),
        ({"type": "boolean"}, "true | false"),
        ({}, "any"),
    ],
)
def test_types_in_words(spec: dict[str, object], name: str) -> None:
    assert type_name(spec, {"$defs": {"D": {"type": "object"}}}) == name


def test_a_plan_shows_nodes_engines_and_columns() -> None:
    op = built_in()["filter"]
    node = Node("right", op, op.params.model_validate({"where": "true"}), ("source",), None)
    plan = Plan(
        "small", TASKS["multiple_choice"], (node,), ("right",),
        {"teacher": EngineSpec("teacher", "org/model", "abc", gpus=2)},
        {"question": "string"}, "hash123", 0.05,
    )  # fmt: skip
    text = text_of(plan_view(plan))
    assert "right *  filter  source" in text
    assert "teacher  org/model@abc  vllm     2" in text
    assert "columns  question: string" in text
    assert "hash     hash123" in text


def test_a_status_shows_every_count_and_reason() -> None:
    text = text_of(status_view("out/x", STATUS))
    for piece in (
        "source    64",
        "kept      50",
        "dropped   12",
        "failed    2",
        "pending   0",
        "outside   3 finished rows are not in the source now",
        "examples  1,097",
        "tokens    5,432 in, 12,345 out, 64 calls",
        "last run  running, or killed",
        "rationales       64   180       12",
        "80    correct: wrong_[answer]",
        "2     correct: TypeError: x",
    ):
        assert piece in text
