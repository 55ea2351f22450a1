"""The model card of a student: what it was made of, how, and how good it is.

Pure text; knows nothing of files or models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from streamtrain.config import StudentConfig
from streamtrain.record import Record


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What a dataset says of itself: its recipe, models by engine, ops, and rows by their fate.

    `content` is a hash of its examples; `rejects` are (node, reason, count).
    """

    recipe: str
    engines: Mapping[str, str]
    ops: tuple[str, ...]
    source: int
    kept: int
    dropped: int
    failed: int
    examples: int
    content: str
    rejects: tuple[tuple[str, str, int], ...] = ()


def model_card(
    config: StudentConfig,
    result: Mapping[str, Any],
    records: Sequence[Record],
    facts: DatasetFacts | None,
) -> str:
    """The card as Markdown with the hub's header. `facts` None: the dataset can't be read now."""
    head: dict[str, Any] = {"tags": ["raygen", "distillation"]}
    if not _is_folder(config.model) and not config.model.startswith("bundled:"):
        head["base_model"] = config.model
    revision = f" at revision {config.revision}" if config.revision else ""
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=True)}---\n\n# {config.student}",
        f"A student of `{_model(config.model)}`{revision}, trained by streamtrain.",
        _results(records),
        _dataset(result, facts),
        _training(config, result),
    ]
    return "\n\n".join(parts) + "\n"


def _results(records: Sequence[Record]) -> str:
    if not records:
        return "## Results\n\nIt was not evaluated."
    lines = ["| set | accuracy | 95 % interval | chance | questions | unparsed |", "|---" * 6 + "|"]
    for record in records:
        f = record.figures
        lines.append(
            f"| {record.name} | {f['accuracy']:.1%} | {f['low']:.1%} to {f['high']:.1%} "
            f"| {f['chance']:.1%} | {f['total']} | {f['unparsed']} |"
        )
    return "## Results\n\n" + "\n".join(lines)


def _dataset(result: Mapping[str, Any], facts: DatasetFacts | None) -> str:
    lines = [f"- plan: `{result.get('plan') or 'unknown'}`"]
    if facts is None:
        lines.append("- the dataset could not be read when this card was written")
    else:
        models = [f"{name}: `{model}`" for name, model in facts.engines.items()]
        lines += [
            f"- recipe: {facts.recipe}",
            f"- teachers: {', '.join(models) or 'none'}",
            f"- ops: {', '.join(facts.ops)}",
            f"- source rows: {facts.source}",
            f"- kept {facts.kept}, dropped {facts.dropped}, failed {facts.failed}",
            f"- examples: {facts.examples}",
            f"- content: `{facts.content}`",
            *(f"- rejected by {node}: {count} ({why})" for node, why, count in facts.rejects),
        ]
    return "## Dataset\n\n" + "\n".join(lines)


def _training(config: StudentConfig, result: Mapping[str, Any]) -> str:
    settings = config.model_dump(mode="json", exclude_unset=True, exclude={"output"})
    settings["model"] = _model(config.model)
    selected = result.get("selected")
    kept = f" The weights are those of step {selected['step']}." if selected else ""
    left_out = "".join(
        f" Left out: {count} examples ({reason})."
        for reason, count in result.get("left_out", {}).items()
    )
    return (
        f"## Training\n\n{result['steps']} steps over {result['rows']} rows and "
        f"{result['tokens']} tokens; {result['cut']} examples were cut short.{left_out}{kept}\n\n"
        f"```yaml\n{yaml.safe_dump(settings, sort_keys=False)}```"
    )


def _is_folder(model: str) -> bool:
    return model.startswith(("/", ".", "~"))


def _model(model: str) -> str:
    """A model's name; of a folder the last part only, for where it lies is nobody's business."""
    return model.rstrip("/").rpartition("/")[2] if _is_folder(model) else model
