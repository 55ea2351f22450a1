"""Rows in the columns of trainers: TRL, Axolotl, LLaMA-Factory.

Real lists of turns, the same keys in each. Knows nothing of how conversations are made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from raygen.core import UserError
from raygen.share.conversations import Conversation, ConversationMaker, Message
from raygen.share.preferences import Verdicts, pair

Trainer = Literal["trl", "axolotl", "llama-factory"]
TRAINERS: tuple[Trainer, ...] = ("trl", "axolotl", "llama-factory")

_TURNS = ("messages", "prompt", "completion", "chosen", "rejected")


def chat_rows(
    examples: Iterable[Mapping[str, Any]], maker: ConversationMaker
) -> Iterator[dict[str, Any]]:
    """Make `messages` of each example. Raises UserError."""
    for example in examples:
        made = maker.make(example)
        yield _row(example["id"], made, {"messages": [*made.prompt, made.reply]})


def completion_rows(
    examples: Iterable[Mapping[str, Any]], maker: ConversationMaker
) -> Iterator[dict[str, Any]]:
    """Make `prompt` and `completion` of each example. Raises UserError."""
    for example in examples:
        made = maker.make(example)
        yield _row(example["id"], made, {"prompt": [*made.prompt], "completion": [made.reply]})


def preference_rows(
    examples: Sequence[Mapping[str, Any]], maker: ConversationMaker, plan: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Make `prompt`, `chosen` and `rejected` of right and wrong samples of one question.

    Samples are of one question where their prompts are the same, whatever source rows they come
    from. Raises UserError where there is no pair.
    """
    verdicts = Verdicts(plan)
    samples = []
    for example in sorted(examples, key=lambda row: (row["key"], row.get("sample") or 0)):
        if (is_right := verdicts.is_right(example)) is None:
            continue
        made = maker.make(_as_reached(example))
        question = json.dumps(made.prompt, sort_keys=True)
        samples.append((question, (example["id"], made), is_right))
    there = False
    for (chosen_id, chosen), (rejected_id, rejected) in pair(samples):
        if chosen.reply == rejected.reply:
            continue
        there = True
        turns = {
            "prompt": [*chosen.prompt],
            "chosen": [chosen.reply],
            "rejected": [rejected.reply],
        }
        yield _row(f"{chosen_id}-{rejected_id}", chosen, turns)
    if not there:
        raise UserError(
            "no question has both a right and a wrong sample among these examples; keep the wrong "
            "ones: keep: all on the node that samples, or its NODE.rejects in output.from"
        )


def _as_reached(example: Mapping[str, Any]) -> dict[str, Any]:
    """Give a sample that has no label of its own the answer that it reached, not the right one."""
    reached = example.get("predicted") if example.get("label") is None else example["label"]
    return {**example, "label": reached}


def _row(name: str, made: Conversation, turns: dict[str, list[Message]]) -> dict[str, Any]:
    return {"id": name, **turns, **({"tools": made.tools} if made.tools else {})}


def fit_trainer(rows: Sequence[dict[str, Any]], trainer: Trainer) -> list[dict[str, Any]]:
    """Fit rows to what a trainer reads.

    LLaMA-Factory takes a single turn as `chosen` and `rejected`, and thoughts within the text; TRL
    and Axolotl take lists, and leave thoughts to the model's template. All turns of a file have the
    same keys, and all rows the same columns, as `datasets` wants it.
    """
    inlined = [_inline_thoughts(row) for row in rows] if trainer == "llama-factory" else rows
    keys = list(dict.fromkeys(key for row in inlined for turn in _turns(row) for key in turn))
    columns = list(dict.fromkeys(column for row in inlined for column in row))
    fitted: list[dict[str, Any]] = [
        {
            column: [{key: turn.get(key) for key in keys} for turn in row[column]]
            if column in _TURNS
            else row.get(column)
            for column in columns
        }
        for row in inlined
    ]
    if trainer == "llama-factory":
        for row in fitted:
            row |= {name: row[name][0] for name in ("chosen", "rejected") if name in row}
    return fitted


def _turns(row: Mapping[str, Any]) -> Iterator[Message]:
    for column in _TURNS:
        value = row.get(column, ())
        yield from [value] if isinstance(value, Mapping) else value


def _inline_thoughts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        column: [_inlined(turn) for turn in value] if column in _TURNS else value
        for column, value in row.items()
    }


def _inlined(turn: Message) -> dict[str, Any]:
    rest = {key: value for key, value in turn.items() if key != "reasoning_content"}
    if thoughts := turn.get("reasoning_content"):
        rest["content"] = f"<think>\n{thoughts}\n</think>\n\n{turn['content']}"
    return rest


def for_parquet(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give `tools`, whose schemas differ, as JSON, which trainers read too.

    Raises UserError where tool calls have arguments that a Parquet file would fill up with nulls.
    """
    for row in rows:
        for turn in _turns(row):
            for call in turn.get("tool_calls") or ():
                if not isinstance(call.get("function", call).get("arguments", ""), str):
                    raise UserError(
                        "the arguments of tool calls are objects, which Parquet fills up with "
                        "each other's keys; write JSON lines: --out FILE.jsonl"
                    )
    return [
        {**row, "tools": row["tools"] and json.dumps(row["tools"])} if "tools" in row else {**row}
        for row in rows
    ]


def training_lines(form: str, trainer: Trainer, target: Path) -> str:
    """Write what to tell a trainer to read the file."""
    if trainer == "axolotl":
        kind = "json" if target.suffix == ".jsonl" else "parquet"
        lines = f"{{path: {target}, ds_type: {kind}, type: chat_template"
        if form == "preference":
            return f"rl: dpo; datasets: [{lines}.default, field_messages: prompt}}]"
        return f"datasets: [{lines}, field_messages: messages}}]"
    if trainer == "llama-factory":
        columns: dict[str, Any] = {"messages": "prompt" if form == "preference" else "messages"}
        if form == "preference":
            columns |= {"chosen": "chosen", "rejected": "rejected"}
        tags = {"role_tag": "role", "content_tag": "content"}
        tags |= {f"{role}_tag": role for role in ("user", "assistant", "system")}
        tags |= {"observation_tag": "tool"}
        known: dict[str, Any] = {"file_name": target.name, "formatting": "sharegpt"}
        known |= {"ranking": True} if form == "preference" else {}
        entry = {target.name.split(".")[0]: {**known, "columns": columns, "tags": tags}}
        return f"dataset_info.json: {json.dumps(entry)}"
    names = {"chat": "SFTTrainer", "prompt-completion": "SFTTrainer", "preference": "DPOTrainer"}
    return f"trl.{names[form]}(train_dataset=...)"
