"""Exported conversations: turns, thoughts, tool calls, and pairs of right and wrong samples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from raygen.core.errors import UserError
from raygen.share.conversations import ConversationForm
from raygen.share.examples import Examples
from raygen.share.export import ExportForm, Format, export_examples
from raygen.share.trainer_rows import Trainer, training_lines

QUIZ: Mapping[str, str] = {
    "question": "string", "choices": "strings", "answer": "integer", "rationale": "string",
    "label": "integer", "predicted": "integer", "sample": "integer", "view": "string",
}  # fmt: skip
PROMPT = "Question: What is cold?\nOptions:\n(A) fire\n(B) snow\nAnswer:"
CALL = {"type": "function", "function": {"name": "look", "arguments": {"at": "snow"}}}


def quiz(key: str, sample: int, label: int | None, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{key}-{sample}", "key": key, "plan": "p", "node": "n",
        "question": "What is cold?", "choices": ["fire", "snow"], "answer": 1,
        "rationale": f"Reason {key}{sample}.", "label": label, "predicted": label,
        "sample": sample, "view": "positive", **more,
    }  # fmt: skip


def examples(rows: Sequence[Mapping[str, Any]], **columns: str) -> Examples:
    plan = {
        "recipe": "r", "task": "multiple_choice", "labels": [], "columns": {**QUIZ, **columns},
    }  # fmt: skip
    return Examples(plan, pl.DataFrame(rows))


def exported(
    of: Examples, folder: Path, form: Format, trainer: Trainer = "trl", **wording: Any
) -> list[dict[str, Any]]:
    """The rows of an export, which JSON lines and Parquet agree on."""
    what = ExportForm(form, ConversationForm(**wording), trainer)
    done = export_examples(of, what, folder / "made.jsonl")
    rows = [json.loads(line) for line in done.path.read_text().splitlines()]
    assert done.rows == len(rows)
    stored = export_examples(of, what, folder / "made.parquet").path
    assert pq.read_table(stored).to_pylist() == rows
    return rows


def test_a_chat_has_system_user_and_assistant_in_the_words_of_the_task(tmp_path: Path) -> None:
    (row,) = exported(examples([quiz("a", 0, 1)]), tmp_path, "chat", system="Be brief.")
    assert row["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": PROMPT},
        {"role": "assistant", "content": "Reason a0.\nSo the answer is: (B) snow"},
    ]


def test_templates_word_both_sides_and_thoughts_stay_beside_the_text(tmp_path: Path) -> None:
    of = examples([quiz("a", 0, 1, thinking="Hm.")], thinking="string")
    wording = {"input": "{{ question }} {{ choices | join(', ') }}", "target": "{{ rationale }}"}
    (row,) = exported(of, tmp_path, "prompt-completion", **wording)
    (turn,) = row["prompt"]
    assert (turn["role"], turn["content"]) == ("user", "What is cold? fire, snow")
    (said,) = row["completion"]
    assert said == {"role": "assistant", "content": "Reason a0.", "reasoning_content": "Hm."}
    target = "<t>{{ thinking }}</t> {{ rationale }}"
    (row,) = exported(of, tmp_path / "inside", "chat", target=target)
    assert row["messages"][-1] == {"role": "assistant", "content": "<t>Hm.</t> Reason a0."}


def test_right_and_wrong_samples_of_a_question_become_pairs(tmp_path: Path) -> None:
    other = {"question": "What is warm?"}
    rows = [quiz("a", 0, 0), quiz("a", 1, 1), quiz("a", 2, 1), quiz("b", 0, 1, **other)]
    (row,) = exported(examples(rows), tmp_path, "preference")
    assert row["id"] == "a-1-a-0"
    assert [turn["content"] for turn in row["prompt"]] == [PROMPT]
    assert row["chosen"][0]["content"] == "Reason a1.\nSo the answer is: (B) snow"
    assert row["rejected"][0]["content"] == "Reason a0.\nSo the answer is: (A) fire"


def test_samples_of_one_question_may_come_from_several_source_rows(tmp_path: Path) -> None:
    rows = [quiz("recorded", 0, 1), quiz("another", 0, 0)]
    (row,) = exported(examples(rows), tmp_path, "preference")
    assert row["id"] == "recorded-0-another-0"


def test_a_recorded_sample_without_a_label_announces_what_it_reached(tmp_path: Path) -> None:
    """Of PaLM's wrong rationales each would else have ended with the right answer."""
    rows = [{**quiz("a", k, k), "label": None} for k in (0, 1, 4)]
    (row,) = exported(examples(rows), tmp_path, "preference")
    assert row["chosen"][0]["content"].endswith("(B) snow")
    assert row["rejected"][0]["content"].endswith("(A) fire")


def test_a_rejected_sample_says_what_was_said_and_no_answer_that_it_has_not(tmp_path: Path) -> None:
    more = {"reject_reason": "string", "said": "string"}
    rows = [
        quiz("a", 0, 1, reject_reason=None, said="Reason a0. So (B)."),
        quiz("a", 1, None, reject_reason="no_answer", said="Who can tell?"),
    ]
    (row,) = exported(examples(rows, **more), tmp_path, "preference")
    assert row["rejected"][0]["content"] == "Who can tell?"


def test_nothing_to_tell_right_from_wrong_is_said_before_a_file_is_written(tmp_path: Path) -> None:
    columns = {name: kind for name, kind in QUIZ.items() if name != "predicted"}
    rows = [{name: v for name, v in quiz("a", 0, 1).items() if name != "predicted"}]
    of = Examples({"recipe": "r", "task": "multiple_choice", "labels": [], "columns": columns},
                  pl.DataFrame(rows))  # fmt: skip
    with pytest.raises(UserError, match=r"keep: all.*NODE\.rejects"):
        exported(of, tmp_path, "preference")
    with pytest.raises(UserError, match="no question has both"):
        exported(examples([quiz("a", 0, 1)]), tmp_path, "preference")
    assert not list(tmp_path.iterdir())


def chat(**turn: Any) -> Examples:
    turns = [
        {"from": "human", "value": "Is snow cold?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": [{"type": "text", "text": "0 degrees"}], "name": "look"},
        {"role": "assistant", "content": "Yes.", "reasoning": "0 is cold.", **turn},
    ]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    plan = {
        "recipe": "r", "task": "free_text", "labels": [],
        "columns": {"question": "string", "messages": "json", "tools": "json"},
    }  # fmt: skip
    row = {"id": "i", "key": "k", "plan": "p", "node": "n", "question": "q",
           "messages": json.dumps(turns), "tools": json.dumps(tools)}  # fmt: skip
    return Examples(plan, pl.DataFrame([row]))


def test_a_conversation_keeps_its_turns_thoughts_and_tool_calls(tmp_path: Path) -> None:
    done = export_examples(chat(), ExportForm("prompt-completion"), tmp_path / "made.jsonl")
    row = json.loads(done.path.read_text())
    assert [turn["role"] for turn in row["prompt"]] == ["user", "assistant", "tool"]
    assert row["prompt"][1]["tool_calls"] == [CALL]
    assert row["prompt"][2]["content"] == "0 degrees"
    (said,) = row["completion"]
    assert (said["content"], said["reasoning_content"]) == ("Yes.", "0 is cold.")
    assert row["tools"][0]["function"]["name"] == "look"
    with pytest.raises(UserError, match="write JSON lines"):
        export_examples(chat(), ExportForm("chat"), tmp_path / "made.parquet")


def test_llama_factory_gets_thoughts_in_the_text_and_one_turn_a_side(tmp_path: Path) -> None:
    form = ExportForm("chat", trainer="llama-factory")
    done = export_examples(chat(), form, tmp_path / "made.jsonl")
    last = json.loads(done.path.read_text())["messages"][-1]
    assert last["content"] == "<think>\n0 is cold.\n</think>\n\nYes."
    rows = [quiz("a", 0, 0), quiz("a", 1, 1)]
    (row,) = exported(examples(rows), tmp_path / "pairs", "preference", "llama-factory")
    assert row["chosen"]["role"] == "assistant"
    info = training_lines("preference", "llama-factory", Path("d.jsonl"))
    entry = json.loads(info.removeprefix("dataset_info.json: "))["d"]
    assert entry["ranking"]
    assert entry["columns"] == {"messages": "prompt", "chosen": "chosen", "rejected": "rejected"}


@pytest.mark.parametrize(
    ("wording", "fault"),
    [
        ({"input": "{{ stem }}", "target": "x"}, "--input reads 'stem'"),
        ({"target": "{{ rationale"}, "--target: "),
        ({"system": "{{ refuted }}"}, "--system reads 'refuted'"),
        ({"like": Path("s.yaml"), "input": "x"}, "--like takes"),
        ({"target": "{{ '' }}"}, "--target is empty for example a-0"),
    ],
)
def test_a_wording_that_cannot_be_is_said(
    tmp_path: Path, wording: dict[str, Any], fault: str
) -> None:
    with pytest.raises(UserError, match=fault):
        exported(examples([quiz("a", 0, 1)]), tmp_path, "chat", **wording)


def test_a_turn_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="parts that are texts"):
        export_examples(
            chat(content=[{"type": "image"}]), ExportForm("chat"), tmp_path / "made.jsonl"
        )
