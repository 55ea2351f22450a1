"""How ops, plans and a status read, and that all of it fits into 80 columns."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import jinja2
import pytest
from rich.console import Console, RenderableType

from raygen.core.errors import Problem
from raygen.core.task import TASKS
from raygen.dataset.records import Reported
from raygen.dataset.status import DatasetStatus
from raygen.engines.base import EngineSpec
from raygen.ops.registry import built_in
from raygen.planning.estimate import EngineEstimate, Estimate, NodeEstimate
from raygen.planning.plan import Node, Plan
from raygen.planning.plan_report import PlanOverview
from raygen.planning.resources import Placement
from raygen.planning.reuse import Reuse
from raygen.views import op_json, op_view, ops_view, plan_view, prompts_text, status_view
from raygen.views.ops import type_name

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
    rejects=(("correct", "wrong_[answer]", 80), ("source", "invalid_row", 2)),
    errors=(("correct: TypeError: x", 2),),
    nodes={"rationales": (64, 180, 12)},
)

NOTHING = Estimate(1, 0, None, None, None, {}, {})
REUSE = Reuse({"think": "same", "right": "changed"}, {"think": 60, "right": 4})


def text_of(view: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    return "\n".join(lines)


def squeezed(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def test_a_status_counts_thoughts_apart() -> None:
    thought = replace(STATUS, reported={"t": Reported(thinking=9000)})
    assert "thoughts 9,000 of all tokens out" in squeezed(text_of(status_view("out", thought)))
    assert "thoughts" not in text_of(status_view("out", STATUS))


def test_every_op_is_listed_with_its_first_sentence() -> None:
    text = text_of(ops_view(built_in().values()))
    assert all(f"\n{name} " in text for name in built_in())
    assert "\nfilter no " in squeezed(text)


OPS = [
    pytest.param(name, marks=() if number % 4 == 0 else pytest.mark.slow)
    for number, name in enumerate(sorted(built_in()))
]
"""Every op; outside test-long every fourth."""


@pytest.mark.parametrize("name", OPS)
def test_an_op_shows_every_parameter(name: str) -> None:
    op = built_in()[name]
    text = text_of(op_view(op))
    for parameter in op.params.model_json_schema()["properties"]:
        assert f"\n{parameter}" in text
    assert "    " not in text.split("\n\nparameter")[0]
    assert json.loads(json.dumps(op_json(op)))["name"] == name


@pytest.mark.parametrize("name", OPS)
def test_every_op_says_what_it_needs_and_its_prompt_can_be_copied(name: str) -> None:
    op = built_in()[name]
    assert "\ntask " in text_of(op_view(op))
    assert set(op_json(op)["tasks"]) == set(TASKS)
    if op.needs_engine and name != "generate":
        assert "{{" in prompts_text(op)


def test_an_op_says_which_tasks_it_serves() -> None:
    text = squeezed(text_of(op_view(built_in()["fill_counterfactual"])))
    assert "\nmultiple_choice answer, choices, masked, question" in text
    assert "\nfree_text not possible:" in text
    assert "counted target, by `raygen status`" in text
    assert "\nany nothing" in squeezed(text_of(op_view(built_in()["filter"])))
    assert prompts_text(built_in()["filter"]) == ""


def test_prompts_that_differ_by_task_name_their_tasks() -> None:
    text = prompts_text(built_in()["flip_check"])
    assert "{# prompt (multiple_choice) #}" in text
    assert "{# prompt (classification) #}" in text
    environment = jinja2.Environment(autoescape=True)
    environment.filters["letter"] = str
    environment.parse(text)


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
    text = text_of(plan_view(PlanOverview(plan, NOTHING)))
    assert "right *  filter  source" in text
    assert "teacher  org/model@abc  vllm          2" in text
    assert "columns  question: string" in text
    assert "hash     hash123" in text
    where = Placement("a100x8", 1, 6, gpus=1, rows=256, trainers=2)
    hint = Problem("r.yaml", 6, 3, "the recipe pins it")
    view = plan_view(PlanOverview(plan, NOTHING, placement=where, hints=(hint,)))
    text = " ".join(text_of(view).split())
    assert "1 to 6 actors with 1 GPU each, up to 256 rows in flight each; 2 train workers " in text
    assert "workers beside that; 8 GPUs in all (profile a100x8)" in text
    assert "hint r.yaml:6:3: the recipe pins it" in text
    where = Placement(None, 1, 1, gpus=0, rows=64)
    text = " ".join(text_of(plan_view(PlanOverview(plan, NOTHING, placement=where))).split())
    assert "1 actor with no GPU, up to 64 rows in flight columns" in text


def test_a_plan_shows_what_is_expected_and_where_that_comes_from() -> None:
    op = built_in()["filter"]
    node = Node("right", op, op.params.model_validate({"where": "true"}), ("source",), None)
    plan = Plan(
        "small", TASKS["multiple_choice"], (node,), ("right",), {}, {"question": "string"}, "h", 0.1
    )
    nodes = {
        "think": NodeEstimate(64, 180, 64, 13422, 4213, 0.75, "run"),
        "right": NodeEstimate(180, 90, 0, 0, 0, 0.5, "changed"),
    }
    engines = {
        "teacher": EngineEstimate(64, 13422, 4213, 0.5, "tokenizer"),
        "judge": EngineEstimate(1, 1, 1, 0.25, "tokenizer"),
        "local": EngineEstimate(1, 1, 1, None, "tokenizer"),
    }
    expected = Estimate(64, 90, 185.0, "preview", 0.75, nodes, engines, ("a note",))
    text = squeezed(text_of(plan_view(PlanOverview(plan, expected, 40, REUSE))))
    for piece in (
        "think 64 75 % 180 64 13,422 4,213 run",
        "right 180 50 % 90 changed",
        "all 64 90 64 13,422 4,213",
        "changed: what passed under other settings",
        "examples about 90, from 64 rows",
        "time 3 min 5 s at the pace of the last preview",
        "money $0.75 (teacher $0.50, judge $0.25); without a price: local",
        "done 40 of 64 rows already",
        "reuse 60 of 64 recorded calls are of steps that are the same",
        "note a note",
    ):
        assert piece in text
    assert "assumed:" not in text
    unknown = replace(expected, seconds=None, pace=None, dollars=None)
    text = text_of(plan_view(PlanOverview(plan, unknown)))
    assert "not known before a preview or a run" in text
    assert "money" not in text


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
        "rows  dropped at",
        "80    correct: wrong_[answer]",
        "2     source: invalid_row",
        "2     correct: TypeError: x",
    ):
        assert piece in text


def test_a_status_shows_the_planned_numbers() -> None:
    planned = {
        "rows": 64, "examples": 900, "calls": 64, "prompt_tokens": 5000, "output_tokens": 16384,
        "seconds": 60.0, "nodes": {"rationales": {"rows_in": 64.0, "rows_out": 192.0}},
    }  # fmt: skip
    reports = {"target": {"A": 750, "B": 250}}
    nodes = {"rationales": (64, 180, 12), "new": (1, 1, 0)}
    status = replace(STATUS, planned=planned, wall=75.0, pending=3, reports=reports, nodes=nodes)
    text = squeezed(text_of(status_view("out/x", status)))
    for piece in (
        "examples 1,097 (planned 900)",
        "tokens 5,432 (planned 5,000) in, 12,345 (planned 16,384) out, 64 (planned 64)",
        "time 1 min 15 s (planned 1 min 0 s)",
        "planned: for all 64 rows, before the first one ran",
        "rationales 64 64 180 192 12",
        "new 1 1 0",
        "target A 750 (75 %), B 250 (25 %)",
    ):
        assert piece in text
