"""generate with each_turn, and the recipe that rewrites conversations with it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from raygen.dataset.records import RowResult
from raygen.dataset.storage import Folder
from raygen.engines.base import Completion, Message, Request
from raygen.engines.stand_in import StandInEngine
from raygen.ops.generate import GenerateParams
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.runtime.row_program import RowProgram
from raygen.sources import key_source

RECIPE = Path("recipes/rewrite-chat/rewrite-chat-small.yaml")


FAKE = {"engines.teacher.backend": "fake", "engines.teacher.args": '{"answers": ["x"]}'}


class Numbering(StandInEngine):
    """Answers each chat by how many turns it has; one of `cut_at` turns is cut off."""

    def __init__(self, cut_at: int = 0) -> None:
        self.cut_at = cut_at
        self.asked: list[tuple[Message, ...]] = []

    async def receive(self, *texts: str) -> Any:
        raise NotImplementedError

    async def generate(self, request: Request) -> list[Completion]:
        assert isinstance(request.prompt, tuple)
        self.asked.append(request.prompt)
        number = len(request.prompt)
        finish = "length" if number == self.cut_at else "stop"
        return [Completion(f"answer {number}", finish, thinking=f"thought {number}")]


def rewritten(
    engine: Numbering, folder: Path, rows: list[dict[str, Any]] | None = None, **more: Any
) -> list[RowResult]:
    """The results of the shipped recipe, on its own conversations or others."""
    sets = {f"graph.answered.{name}": json.dumps(value) for name, value in more.items()}
    if rows is not None:
        (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        sets["data"] = str(folder / "chats.jsonl")
    prepared = prepare(RecipeRequest(RECIPE, {**FAKE, **sets}))
    plan = prepared.plan
    source = key_source(
        prepared.recipe.source, plan.task, prepared.recipe.base, Folder.at(folder / "out")
    )
    program = RowProgram(plan, {"teacher": engine})

    async def run() -> list[RowResult]:
        return [await program.run(*row) for row in source.read(range(source.total))]

    return asyncio.run(run())


def chat(*contents: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[k % 2], "content": c} for k, c in enumerate(contents)]}


def test_each_turn_is_answered_after_the_new_answers_before_it(tmp_path: Path) -> None:
    engine = Numbering()
    (result,) = rewritten(engine, tmp_path, [chat("one?", "old", "two?", "old", "thanks")])
    (example,) = result.examples
    turns = [(turn["role"], turn["content"]) for turn in example["messages"]]
    assert turns[1:] == [
        ("user", "one?"), ("assistant", "answer 2"), ("user", "two?"), ("assistant", "answer 4"),
    ]  # fmt: skip
    assert turns[0][0] == "system"
    assert [turn.content for turn in engine.asked[1]][1:] == ["one?", "answer 2", "two?"]
    assert len({call.id for call in result.calls}) == 2


def test_the_shipped_conversations_are_rewritten(tmp_path: Path) -> None:
    results = rewritten(Numbering(), tmp_path)
    assert len(results) == 8
    assert {result.status for result in results} == {"kept"}
    contents = [turn["content"] for r in results for turn in r.examples[0]["messages"]]
    assert "idk, fridge?" not in contents
    systems = [r.examples[0]["messages"][0]["content"] for r in results]
    assert len(set(systems)) == 2, "a conversation's own system text stays"


def test_thoughts_stand_in_their_turns(tmp_path: Path) -> None:
    (result,) = rewritten(Numbering(), tmp_path, [chat("one?", "old")], thinking="column")
    assert result.examples[0]["messages"][-1]["reasoning_content"] == "thought 2"


@pytest.mark.parametrize(
    ("row", "reason"),
    [(chat("one?", "old", "two?", "old"), "truncated"), (chat("one?"), "no_turn")],
)
def test_a_conversation_that_cannot_be_answered_is_dropped(
    tmp_path: Path, row: dict[str, Any], reason: str
) -> None:
    rows = [row, chat("fine?", "old")]
    results = rewritten(Numbering(cut_at=4), tmp_path, rows, truncated="reject")
    assert [result.status for result in results] == ["dropped", "kept"]
    assert [reject.reason for reject in results[0].rejects] == [reason]


def test_each_turn_needs_a_conversation_and_one_answer() -> None:
    conversation = {"messages": "{{ turns }}", "into": "x", "each_turn": True}
    GenerateParams.model_validate(conversation)
    for more in ({"n": 2}, {"schema": {"type": "object"}}, {"messages": None, "prompt": "x"}):
        with pytest.raises(ValidationError, match="each_turn is for"):
            GenerateParams.model_validate({**conversation, **more})
