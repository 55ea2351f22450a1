"""The model card of a student: its data, its training, and its results.

Pure text; knows nothing of files or models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from raygen.core import code_block, code_span, escape_markdown, visible_line
from streamtrain.config import Kind, StudentConfig
from streamtrain.data import DatasetFacts
from streamtrain.evaluation import EvaluationRecord

_AUTO: Mapping[Kind, str] = {
    "causal": "ForCausalLM",
    "seq2seq": "ForSeq2SeqLM",
    "classifier": "ForSequenceClassification",
}
"""Suffixes of the auto classes of transformers and peft that load a kind of student."""


def model_card(
    config: StudentConfig,
    result: Mapping[str, Any],
    records: Sequence[EvaluationRecord],
    facts: DatasetFacts | None,
    merged: bool = False,
) -> str:
    """Write the card as Markdown with the hub's header. `facts` None: the dataset can't be read
    now.

    A `merged` student has no adapter any more, though it was trained with one.
    """
    head: dict[str, Any] = {"tags": ["raygen", "distillation"]}
    if not _is_folder(config.model) and not config.model.startswith("bundled:"):
        head["base_model"] = visible_line(config.model)
    revision = f" at revision {escape_markdown(config.revision)}" if config.revision else ""
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=True)}---\n\n# {config.student}",
        f"A student of {code_span(_named(config.model))}{revision}, trained by streamtrain.",
        _loading(config, config.tune.method == "lora" and not merged),
        _results(records),
        _dataset(result, facts),
        _training(config, result),
    ]
    return "\n\n".join(parts) + "\n"


def _loading(config: StudentConfig, adapter: bool) -> str:
    """Write how to load the student."""
    folder, name = f'"path/to/{config.student}"', f"Model{_AUTO[config.kind]}"
    imports = f"from transformers import Auto{name}, AutoTokenizer"
    loads = f"Auto{name}.from_pretrained({folder})"
    if adapter:
        imports = f"from peft import AutoPeft{name}\nfrom transformers import AutoTokenizer"
        # An adapter has its head, but not how many classes the model below it is to have.
        more = f", num_labels={len(config.data.labels)}" if config.data.labels else ""
        loads = f"AutoPeft{name}.from_pretrained({folder}{more})"
    tokenizer = f"tokenizer = AutoTokenizer.from_pretrained({folder})"
    code = f"{imports}\n\nmodel = {loads}\n{tokenizer}"
    return f"## Load it\n\n{code_block(code, 'python')}"


def _results(records: Sequence[EvaluationRecord]) -> str:
    if not records:
        return "## Results\n\nIt was not evaluated."
    columns = ["set", "accuracy", "95 % interval", "chance", "questions", "unparsed"]
    pairs = any(record.figures.get("contrast") for record in records)
    columns += ["original", "contrast", "both right"] if pairs else []
    lines = [_line(columns), "|---" * len(columns) + "|"]
    lines += [_line(_result(record, pairs)) for record in records]
    return "## Results\n\n" + "\n".join(lines)


def _result(record: EvaluationRecord, pairs: bool) -> list[str]:
    f = record.figures
    interval = f"{f['low']:.1%} to {f['high']:.1%}"
    cells = [escape_markdown(record.name), f"{f['accuracy']:.1%}", interval, f"{f['chance']:.1%}"]
    cells += [_count(f.get("total")), _count(f.get("unparsed"))]
    if not pairs:
        return cells
    contrast = f.get("contrast")
    kinds = ("original", "counterfactual", "both")
    return [*cells, *(f"{contrast[kind]:.1%}" if contrast else "" for kind in kinds)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _dataset(result: Mapping[str, Any], facts: DatasetFacts | None) -> str:
    lines = [f"- plan: {code_span(result.get('plan') or 'unknown')}"]
    if facts is None:
        lines.append("- the dataset could not be read when this card was written")
    else:
        models = [
            f"{escape_markdown(name)}: {code_span(model)}" for name, model in facts.engines.items()
        ]
        lines += [
            f"- recipe: {escape_markdown(facts.recipe)}",
            f"- teachers: {', '.join(models) or 'none'}",
            f"- ops: {escape_markdown(', '.join(facts.ops))}",
            f"- source rows: {facts.source}",
            f"- kept {facts.kept}, dropped {facts.dropped}, failed {facts.failed}",
            f"- examples: {facts.examples}",
            f"- content: {code_span(facts.content)}",
            *(
                f"- rejected by {escape_markdown(node)}: {count} ({escape_markdown(why)})"
                for node, why, count in facts.rejects
            ),
        ]
    return "## Dataset\n\n" + "\n".join(lines)


def _training(config: StudentConfig, result: Mapping[str, Any]) -> str:
    settings = config.model_dump(mode="json", exclude_unset=True, exclude={"output"})
    settings["model"] = _named(config.model)
    if teacher := settings.get("objective", {}).get("teacher"):
        teacher["model"] = _named(teacher["model"])
    for name in ("report", "select"):
        if file := settings.get("evaluate", {}).get(name):
            settings["evaluate"][name] = _named(file)
    selected = result.get("selected")
    steps, rows, tokens, cut, best = (
        _count(number)
        for number in (
            *(result[name] for name in ("steps", "rows", "tokens", "cut")),
            (selected or {}).get("step"),
        )
    )
    selected_step = f" The weights are those of step {best}." if selected else ""
    left_out = "".join(
        f" Left out: {_count(count)} examples ({escape_markdown(reason)})."
        for reason, count in result.get("left_out", {}).items()
    )
    return (
        f"## Training\n\n{steps} steps over {rows} rows and "
        f"{tokens} tokens; {cut} examples were cut short."
        f"{left_out}{selected_step}\n\n"
        f"{code_block(yaml.safe_dump(settings, sort_keys=False), 'yaml')}"
    )


def _count(value: object) -> str:
    """Format a number of a file that may hold anything."""
    return str(value) if isinstance(value, int) else "?"


def _is_folder(model: str) -> bool:
    return model.startswith(("/", ".", "~"))


def _named(model: str) -> str:
    """Name a model or file; a path by its last part only, since its location is private."""
    return model.rstrip("/").rpartition("/")[2] if _is_folder(model) else model
