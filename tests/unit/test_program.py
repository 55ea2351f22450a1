"""RowProgram: the graph of one row, its ending, its seeds and its order."""

import json

import pytest

from raygen.engines.base import EngineDeadError
from raygen.program import RowProgram
from tests.unit.plans import QUESTION, engines, fake_spec, node, plan

ASK = {"prompt": "{{ question }}", "into": "answer_text", "n": 3}
COLUMNS = {"question": "string", "answer_text": "string", "sample": "integer"}


async def test_n_samples_are_one_call_and_n_examples() -> None:
    of = plan([node("ask", "generate", **ASK)], ("ask",), fake_spec("a", "b", "c"), COLUMNS)
    result = await RowProgram(of, engines(of)).run("key", QUESTION)
    assert result.status == "kept"
    assert sorted(example["answer_text"] for example in result.examples) == ["a", "b", "c"]
    assert [example["sample"] for example in result.examples] == [0, 1, 2]
    assert len({example["id"] for example in result.examples}) == 3
    (call,) = result.calls
    assert json.loads(call.sampling)["n"] == 3
    assert call.prompt == QUESTION["question"]
    assert result.node_counts == {"ask": (1, 3, 0)}


async def test_the_same_row_gives_the_same_result_and_another_key_other_ids() -> None:
    of = plan([node("ask", "generate", **ASK)], ("ask",), fake_spec("a", "b", "c"), COLUMNS)
    program = RowProgram(of, engines(of))
    first, again = await program.run("key", QUESTION), await program.run("key", QUESTION)
    other = await program.run("other", QUESTION)
    assert first.examples == again.examples
    assert [c.id for c in first.calls] == [c.id for c in again.calls]
    assert {e["id"] for e in first.examples}.isdisjoint(e["id"] for e in other.examples)
    assert first.calls[0].id != other.calls[0].id, "another row draws with another seed"


async def test_a_graph_fans_out_and_its_rejects_are_counted_by_node() -> None:
    nodes = [
        node("ask", "generate", **ASK),
        node("short", "filter", "ask", where="answer_text | length < 3", reason="long"),
        node("loud", "map", "short", set={"answer_text": "answer_text | upper"}),
    ]
    of = plan(nodes, ("ask", "loud"), fake_spec("a", "bb", "cccc"), COLUMNS)
    result = await RowProgram(of, engines(of)).run("key", QUESTION)
    by_node = [(e["node"], e["answer_text"]) for e in result.examples]
    assert [n for n, _ in by_node] == ["ask"] * 3 + ["loud"] * 2
    assert {text for n, text in by_node if n == "loud"} == {"A", "BB"}
    assert [(r.node, r.reason) for r in result.rejects] == [("short", "long")]
    assert result.node_counts == {"ask": (1, 3, 0), "short": (3, 2, 1), "loud": (2, 2, 0)}


async def test_a_row_with_rejects_only_is_dropped() -> None:
    nodes = [node("no", "filter", where="false")]
    result = await RowProgram(plan(nodes, ("no",)), {}).run("key", QUESTION)
    assert (result.status, result.examples, result.error) == ("dropped", (), None)


async def test_an_error_fails_the_row_with_no_example_left() -> None:
    nodes = [node("fine", "filter", where="true"), node("bad", "map", set={"x": "1 / 0"})]
    result = await RowProgram(plan(nodes, ("fine", "bad")), {}).run("key", QUESTION)
    assert result.status == "failed"
    assert result.examples == ()
    assert result.error is not None
    assert result.error.startswith("bad: TemplateError")


async def test_a_refused_request_is_a_reject_of_its_node() -> None:
    of = plan(
        [node("ask", "generate", **ASK)],
        ("ask",),
        fake_spec({"match": "fish", "reply": {"error": "refused"}}),
    )
    result = await RowProgram(of, engines(of)).run("key", QUESTION)
    assert [(r.node, r.reason) for r in result.rejects] == [("ask", "refused")]
    assert result.status == "dropped"


async def test_a_passing_fault_fails_the_row_which_keeps_its_finished_calls() -> None:
    nodes = [
        node("ask", "generate", **ASK),
        node("more", "generate", "ask", prompt="more {{ question }}", into="answer_text"),
    ]
    fault = {"match": "more", "reply": [{"error": "bad_response", "times": 1}]}
    of = plan(nodes, ("more",), fake_spec(fault, "a", "b"), COLUMNS)
    program = RowProgram(of, engines(of))
    failed = await program.run("key", QUESTION)
    assert (failed.status, failed.examples, failed.passing) == ("failed", (), True)
    assert failed.error is not None
    assert failed.error.startswith("more: bad_response: ")
    assert [call.node for call in failed.calls] == ["ask"]
    recorded = {call.id: [call] for call in failed.calls}
    again = await program.run("key", QUESTION, recorded)
    assert (again.status, again.passing) == ("kept", False)
    assert [(call.node, call.reused) for call in again.calls] == [
        ("ask", True),
        *[("more", False)] * 3,
    ]
    undisturbed = plan(nodes, ("more",), fake_spec("a", "b"), COLUMNS)
    expected = await RowProgram(undisturbed, engines(undisturbed)).run("key", QUESTION)
    assert again.examples == expected.examples


async def test_a_lasting_error_beside_a_passing_one_is_no_reason_to_try_again() -> None:
    nodes = [node("bad", "map", set={"x": "1 / 0"}), node("ask", "generate", **ASK)]
    of = plan(nodes, ("ask",), fake_spec({"match": ".", "reply": {"error": "bad_response"}}))
    result = await RowProgram(of, engines(of)).run("key", QUESTION)
    assert (result.status, result.passing) == ("failed", False)


async def test_a_dead_engine_is_not_the_rows_error() -> None:
    nodes = [
        node("a", "generate", **ASK),
        node("b", "generate", **ASK),
        node("bad", "map", set={"x": "1 / 0"}),
    ]
    of = plan(nodes, ("a", "b"), fake_spec({"match": ".", "reply": {"error": "dead"}}))
    with pytest.raises(EngineDeadError):
        await RowProgram(of, engines(of)).run("key", QUESTION)
