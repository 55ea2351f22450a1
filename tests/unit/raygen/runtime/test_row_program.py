"""RowProgram: the graph of one row, its ending, its seeds and its order."""

import asyncio
import json
from typing import Any

import pytest

from raygen.core.row import Reject
from raygen.engines.base import Completion, EngineDeadError, Request
from raygen.engines.fake import FakeEngine
from raygen.ops.base import Columns, Context, Op, OpParams
from raygen.planning.plan import Node, Plan
from raygen.runtime.row_program import RowProgram
from tests.support.plans import QUESTION, engines, fake_spec, node, plan

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


@pytest.mark.parametrize("reason", ["bad_request", "bad_response"])
async def test_what_an_engine_says_of_a_request_is_not_the_rows_fate(reason: str) -> None:
    of = plan(
        [node("ask", "generate", **ASK)],
        ("ask",),
        fake_spec({"match": "fish", "reply": {"error": reason}}),
    )
    result = await RowProgram(of, engines(of)).run("key", QUESTION)
    assert (result.status, result.retryable, result.rejects) == ("failed", True, ())


async def test_a_transient_fault_fails_the_row_which_keeps_its_finished_calls() -> None:
    nodes = [
        node("ask", "generate", **ASK),
        node("more", "generate", "ask", prompt="more {{ question }}", into="answer_text"),
    ]
    fault = {"match": "more", "reply": [{"error": "bad_response", "times": 1}]}
    of = plan(nodes, ("more",), fake_spec(fault, "a", "b"), COLUMNS)
    program = RowProgram(of, engines(of))
    failed = await program.run("key", QUESTION)
    assert (failed.status, failed.examples, failed.retryable) == ("failed", (), True)
    assert failed.error is not None
    assert failed.error.startswith("more: bad_response: ")
    assert [call.node for call in failed.calls] == ["ask"]
    recorded = {call.id: [call] for call in failed.calls}
    again = await program.run("key", QUESTION, recorded)
    assert (again.status, again.retryable) == ("kept", False)
    assert [(call.node, call.reused) for call in again.calls] == [
        ("ask", True),
        *[("more", False)] * 3,
    ]
    undisturbed = plan(nodes, ("more",), fake_spec("a", "b"), COLUMNS)
    expected = await RowProgram(undisturbed, engines(undisturbed)).run("key", QUESTION)
    assert again.examples == expected.examples


async def test_a_lasting_error_with_a_transient_one_is_no_reason_to_try_again() -> None:
    nodes = [node("bad", "map", set={"x": "1 / 0"}), node("ask", "generate", **ASK)]
    of = plan(nodes, ("ask",), fake_spec({"match": ".", "reply": {"error": "bad_response"}}))
    result = await RowProgram(of, engines(of)).run("key", QUESTION)
    assert (result.status, result.retryable) == ("failed", False)


async def test_a_dead_engine_is_not_the_rows_error() -> None:
    nodes = [
        node("a", "generate", **ASK),
        node("b", "generate", **ASK),
        node("bad", "map", set={"x": "1 / 0"}),
    ]
    of = plan(nodes, ("a", "b"), fake_spec({"match": ".", "reply": {"error": "dead"}}))
    with pytest.raises(EngineDeadError):
        await RowProgram(of, engines(of)).run("key", QUESTION)


async def test_a_request_that_its_library_cancels_fails_the_row_and_loses_no_branch_silently() -> (
    None
):
    class Cancels(FakeEngine):
        """Its library cancels one request by itself."""

        async def generate(self, request: Request) -> list[Completion]:
            if "more" in str(request.prompt):
                raise asyncio.CancelledError
            return await super().generate(request)

    nodes = [
        node("ask", "generate", **ASK),
        node("more", "generate", prompt="more {{ question }}", into="answer_text"),
    ]
    of = plan(nodes, ("ask", "more"), fake_spec("a", "b"), COLUMNS)
    result = await RowProgram(of, {"teacher": Cancels(of.engines["teacher"])}).run("key", QUESTION)
    assert (result.status, result.retryable) == ("failed", True)
    assert result.error == "more: the engine gave up the request before it answered"


async def test_a_row_that_is_cancelled_from_outside_stays_cancelled() -> None:
    of = plan([node("ask", "generate", **ASK)], ("ask",), fake_spec("a", latency=60.0), COLUMNS)
    running = asyncio.create_task(RowProgram(of, engines(of)).run("key", QUESTION))
    for _ in range(5):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


BROKEN_ANSWERS = [
    ({"x": 1}, "dict"),
    (None, "None"),
    ("row", "str"),
    (3, "int"),
    ([QUESTION], "list with dict in it"),
    ([None], "list with None in it"),
    ([Reject("no"), "text"], "list with str in it"),
]


def answering(answer: Any, group: bool = False) -> Op:
    """An op that gives this, whatever the row."""

    async def run(row: Any, params: Any, ctx: Context) -> Any:
        return answer(row) if callable(answer) else answer

    return Op("toy", 1, OpParams, run, lambda params, task: Columns(), group=group)


def toy(op: Op) -> Plan:
    """A plan of a filter and then this op."""
    nodes = [node("first", "filter", where="true"), Node("mine", op, OpParams(), ("first",), None)]
    return plan(nodes, ("mine",), columns=COLUMNS)


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize(("answer", "what"), BROKEN_ANSWERS)
async def test_an_op_that_gives_no_rows_or_rejects_fails_the_row(
    answer: Any, what: str, group: bool
) -> None:
    result = await RowProgram(toy(answering(answer, group)), {}).run("key", QUESTION)
    assert (result.status, result.examples, result.retryable) == ("failed", (), False)
    assert result.error == (
        f"mine: op 'toy' returned {what}; expected a list of Row and Reject: "
        "[row.child(ctx.node, k, {...})] or [Reject('reason')]"
    )


@pytest.mark.parametrize("group", [False, True])
async def test_an_op_that_gives_nothing_drops_the_row_with_a_reason(group: bool) -> None:
    result = await RowProgram(toy(answering([], group)), {}).run("key", QUESTION)
    assert (result.status, result.error) == ("dropped", None)
    assert [(r.node, r.reason, r.detail) for r in result.rejects] == [
        ("mine", "no_outcome", "op 'toy' returned neither a row nor a reject")
    ]
    assert result.node_counts["mine"] == (1, 0, 1)


async def test_an_op_may_give_its_rows_in_any_iterable() -> None:
    made = answering(lambda row: (row.child("mine", k, {"sample": k}) for k in range(2)))
    result = await RowProgram(toy(made), {}).run("key", QUESTION)
    assert [example["sample"] for example in result.examples] == [0, 1]


async def test_what_the_candidates_of_a_row_share_is_asked_once() -> None:
    old = {"original": "'What sinks?'", "original_answer": "answer", "target": "answer"}
    nodes = [
        node("ask", "generate", **ASK),
        node("cf", "map", "ask", set={**old, "question": "answer_text"}),
        node("voted", "self_consistency", "cf", samples=2, original="required"),
        node("flipped", "flip_check", "cf"),
    ]
    fake = fake_spec("So the answer is: (a)", "It is (a)", "(a)")
    of = plan(nodes, ("voted", "flipped"), fake, COLUMNS)
    result = await RowProgram(of, engines(of)).run("key", QUESTION)
    asked = [(call.node, call.kind) for call in result.calls if "What sinks?" in call.prompt]
    assert sorted(asked) == [("flipped", "score"), ("voted", "generate")]
    assert len([call for call in result.calls if call.node == "voted"]) in (1, 4)
    again = await RowProgram(of, engines(of)).run("key", QUESTION)
    assert again.examples == result.examples
