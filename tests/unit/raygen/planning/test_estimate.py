"""The estimate of a small plan: assumed, measured, stopped early, priced."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from raygen.ops.base import Cost
from raygen.planning.estimate import Estimate, estimate_run
from raygen.planning.history import EngineUsage, NodeMeasure, RunMeasurements, identities
from raygen.planning.plan import Plan
from raygen.planning.prompt_tokens import PromptTokenCounts
from tests.support.plans import fake_spec, node, plan

PROBED = PromptTokenCounts({("asks", "teacher"): 50.0}, {})


def small() -> Plan:
    asks = replace(
        node("asks", "generate", prompt="{{ question }}", into="x", n=4), cost=Cost(1, 4, 100, 4)
    )
    right = node("right", "filter", "asks", where="true")
    spec = replace(fake_spec("yes"), price={"input": 1.0, "output": 10.0})
    return plan([asks, right], ("right",), spec)


def measured(one: Plan, **changes: object) -> RunMeasurements:
    known = identities(one.to_json())
    nodes = {
        "asks": NodeMeasure(
            identity=known["asks"], rows_in=10, kept=30, dropped=10,
            engines={"teacher": EngineUsage(calls=10, prompt_tokens=400, output_tokens=1600)},
        ),
        "right": NodeMeasure(
            identity=known["right"], rows_in=30, kept=15, dropped=15, engines={}
        ),
    }  # fmt: skip
    found = RunMeasurements(basis="run", plan="p", rows=10, examples=15, seconds=20.0, nodes=nodes)
    return found.model_copy(update=changes)


def test_without_a_measure_it_is_an_upper_bound() -> None:
    found = estimate_run(small(), 100, PROBED)
    assert (found.examples, found.calls, found.prompt_tokens) == (400, 100, 5000)
    assert found.output_tokens == 100 * 4 * 100
    assert {node.basis for node in found.nodes.values()} == {"assumed"}
    assert (found.seconds, found.pace) == (None, None)
    assert found.dollars == pytest.approx((5000 * 1 + 40000 * 10) / 1e6)


def test_a_run_of_the_same_settings_gives_rates_tokens_and_pace() -> None:
    one = small()
    found = estimate_run(one, 100, PROBED, [measured(one)])
    assert found.examples == 150
    assert found.nodes["asks"].pass_rate == 0.75
    assert (found.prompt_tokens, found.output_tokens) == (4000, 16000)
    assert (found.seconds, found.pace) == (pytest.approx(200.0), "run")
    assert found.engines["teacher"].calls == 100


def test_a_call_whose_prompt_no_backend_counts_is_counted_here() -> None:
    one = small()
    base = measured(one)
    uncounted = {"teacher": EngineUsage(calls=10, prompt_tokens=0, output_tokens=0)}
    nodes = {**base.nodes, "asks": base.nodes["asks"].model_copy(update={"engines": uncounted})}
    assert estimate_run(one, 100, PROBED, [measured(one, nodes=nodes)]).prompt_tokens == 5000


def test_other_settings_take_over_only_the_share_that_passes() -> None:
    one = small()
    asks = replace(one.nodes[0], identity="another")
    other = replace(one, nodes=(replace(asks, cost=Cost(1, 2, 100, 2)), one.nodes[1]))
    found = estimate_run(other, 100, PROBED, [measured(one)])
    assert found.nodes["asks"].basis == "changed"
    assert found.nodes["asks"].rows_out == 100 * 2 * 0.75
    assert found.output_tokens == 100 * 2 * 100
    assert found.seconds is None


def test_a_run_counts_before_a_preview_for_the_pace() -> None:
    one = small()
    slow = measured(one, basis="preview", seconds=100.0)
    assert estimate_run(one, 10, PROBED, [slow, measured(one)]).pace == "run"
    assert estimate_run(one, 10, PROBED, [slow]).pace == "preview"


def test_more_actors_are_taken_as_so_many_times_as_fast() -> None:
    one = small()
    found = estimate_run(one, 100, PROBED, [measured(one, actors=2.0)], actors=8)
    assert (found.seconds, found.pace) == (pytest.approx(50.0), "run")
    assert found.notes == (
        "the time is that of the last run, which had 2 actors, as if 8 were 4 times as fast",
    )
    assert estimate_run(one, 100, PROBED, [measured(one, actors=8.0)], actors=8).notes == ()


def test_the_pace_of_other_hardware_says_nothing() -> None:
    one = small()
    there = measured(one, conditions={"teacher": "vllm on 1 GPU"})
    found = estimate_run(one, 100, PROBED, [there])
    assert (found.seconds, found.pace) == (None, None)
    assert found.notes == (
        "the last run had teacher: vllm on 1 GPU, whose pace says nothing of teacher: fake",
    )
    assert found.examples == 150, "what passes is the same anywhere"
    here = measured(one, basis="preview", conditions={"teacher": "fake"})
    assert estimate_run(one, 100, PROBED, [there, here]).pace == "preview"


def test_it_stops_at_output_rows() -> None:
    found = estimate_run(small(), 100, PROBED, stop_at=40)
    assert (found.examples, found.calls) == (40, 10)
    assert "about 10 of 100" in found.notes[0]
    assert estimate_run(small(), 100, PROBED, stop_at=4000).notes == ()


def test_what_could_only_be_guessed_has_a_note() -> None:
    found = estimate_run(small(), 1, PromptTokenCounts({}, {"teacher": "no tokenizer"}))
    assert found.notes == ("engine teacher: no tokenizer; its tokens are characters / 4",)
    assert found.engines["teacher"].counted == "characters / 4"


def test_a_node_that_kept_nothing_of_a_few_rows_may_keep_the_next() -> None:
    one = small()
    base = measured(one)
    none = base.nodes["right"].model_copy(update={"rows_in": 3, "kept": 0, "dropped": 3})
    found = estimate_run(one, 100, PROBED, [measured(one, nodes={**base.nodes, "right": none})])
    assert found.nodes["right"].pass_rate == 0
    assert found.examples == pytest.approx(300 / 5)
    assert found.notes == ("right has kept nothing so far; taken as 20 rows of 100",)


def test_it_is_json() -> None:
    found: Estimate = estimate_run(small(), 3, PROBED)
    answer = json.loads(json.dumps(found.to_json()))
    assert (answer["rows"], answer["examples"], answer["calls"]) == (3, 12, 3)
    assert answer["nodes"]["asks"]["basis"] == "assumed"


def test_batches_are_said_to_be_waited_for() -> None:
    one = small()
    args = {"base_url": "http://127.0.0.1/v1", "mode": "batch"}
    batching = replace(one.engines["teacher"], backend="openai", args=args)
    plan = replace(one, engines={"teacher": batching})
    assert any("sends batches" in note for note in estimate_run(plan, 100, PROBED).notes)
    assert not any("batches" in note for note in estimate_run(one, 100, PROBED).notes)
