"""Write the card of a dataset: what it is, how it was made, its licences, how to make it again.

A card is Markdown with the hub's YAML header, and follows from facts alone. The card in a dataset's
folder is written and deleted here too; another README there is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import yaml

from raygen.core import (
    ColumnType,
    code_block,
    code_span,
    count,
    escape_markdown,
    escape_paragraphs,
    plural,
    visible_line,
)
from raygen.dataset import (
    DATASET,
    IDENTITY,
    DatasetError,
    Folder,
    check_writable,
    storage_errors,
)
from raygen.inspection import CardFacts, card_facts, open_dataset
from raygen.planning import RECIPE
from raygen.recipe import STORED
from raygen.sources import named_paths
from raygen.views import Box, flowchart

CARD = "README.md"
SIGNATURE = "- written by raygen "
"""The start of a line by which a card of raygen is told from another README."""

_TASKS = {
    "multiple_choice": "multiple-choice",
    "classification": "text-classification",
    "free_text": "question-answering",
}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"))  # fmt: skip
_TYPES: Mapping[ColumnType, str] = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "strings": "list of texts",
    "json": "JSON, as text",
}
_IDENTITY = {
    "id": "the example, equal in every run of the same recipe",
    "key": "the source row that it comes from",
    "plan": "the version of the recipe",
    "node": "the step that made it",
}
_LICENSE = re.compile(r"[a-z0-9.+-]+")
_MOST_FILES = 500


@dataclass(frozen=True, slots=True)
class CardLinks:
    """The files and addresses that a card names.

    `data` are the files of the examples for the hub's header; empty, the header names none. `load`
    are the arguments of `datasets.load_dataset` as Python code; empty where it can't read the
    files. `reference` is where others find the dataset. `has_source` says whether the recipe's
    source file is shared too.
    """

    data: Sequence[str]
    load: str
    reference: str | None = None
    has_source: bool = False


def dataset_card(facts: CardFacts, links: CardLinks) -> str:
    """Compose the card of a dataset as Markdown."""
    parts = [
        f"---\n{_header(facts, links)}---\n\n# {escape_markdown(facts.recipe.recipe)}",
        escape_paragraphs(facts.recipe.description.strip()),
        _opening(facts),
        _loading(links),
        _columns(facts),
        _making(facts),
        _models(facts),
        _licences(facts),
        _limits(facts),
        _reproducing(facts, links),
        _citing(facts, links),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def is_local(model: str) -> bool:
    """Tell whether a model is a local folder, which others don't have."""
    return model.startswith(("/", ".", "~"))


def public_name(model: str) -> str:
    """Shorten a local model to its folder's name, so that no local path is shared."""
    return model.rstrip("/").rpartition("/")[2] if is_local(model) else model


def _header(facts: CardFacts, links: CardLinks) -> str:
    head: dict[str, Any] = {"pretty_name": visible_line(facts.recipe.recipe)}
    if licence := facts.recipe.license:
        match = _LICENSE.fullmatch(licence.lower())
        head |= (
            {"license": match[0]}
            if match
            else {"license": "other", "license_name": visible_line(licence)}
        )
    examples = facts.status.examples
    head["size_categories"] = [next((name for top, name in _SIZES if examples < top), "n>10M")]
    head["task_categories"] = [_TASKS[facts.recipe.task]]
    head["tags"] = ["raygen", "rationales", *(["synthetic"] if facts.recipe.engines else [])]
    if links.data:
        path = links.data[0] if len(links.data) == 1 else list(links.data)
        files = [{"split": "train", "path": path}]
        head["configs"] = [{"config_name": "default", "data_files": files}]
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True)


def _opening(facts: CardFacts) -> str:
    status = facts.status
    fate = (
        f"{count(status.kept)} kept, {count(status.dropped)} dropped, {count(status.failed)} failed"
    )
    if status.pending:
        fate += f", {count(status.pending)} not run yet"
    models = dict.fromkeys(public_name(e.model) for e in facts.recipe.engines.values())
    by = f", made by {_listed(list(map(code_span, models)))}" if models else ""
    lines = f"{plural(status.examples, 'example')} from {plural(status.source, 'source row')}{by}."
    text = f"{lines} Source rows: {fate}."
    if facts.views:
        views = [f"{count(n)} {code_span(view)}" for view, n in facts.views.items()]
        text += f" Views: {', '.join(views)}."
    return text + f" Last change: {facts.committed_at:%Y-%m-%d}."


def _loading(links: CardLinks) -> str:
    if not links.load:
        return (
            "## Load it\n\nIt has too many files to be listed here: `raygen export` writes it as "
            "one, and `polars.read_delta` reads `examples/`."
        )
    code = f"from datasets import load_dataset\n\nexamples = load_dataset({links.load})"
    return f"## Load it\n\n{code_block(code, 'python')}"


def _columns(facts: CardFacts) -> str:
    lines = ["## Columns", "", "| column | type | from |", "|---|---|---|"]
    lines += [f"| `{name}` | text | {_IDENTITY[name]} |" for name in IDENTITY]
    makers: dict[str, list[str]] = {}
    for node in facts.plan["nodes"]:
        for name in node["adds"]:
            makers.setdefault(name, []).append(code_span(node["name"], in_table=True))
    for name, kind in facts.plan["columns"].items():
        if name not in IDENTITY:
            made_by = ", ".join(makers.get(name, ["source"]))
            lines.append(f"| {code_span(name, in_table=True)} | {_TYPES[kind]} | {made_by} |")
    return "\n".join(lines)


def _making(facts: CardFacts) -> str:
    nodes, totals = facts.plan["nodes"], facts.status.nodes
    boxes = []
    table = ["| step | op | rows in | kept | dropped | why |", "|---|---|--:|--:|--:|---|"]
    if invalid := facts.rejects.get("source"):
        rows, lost = facts.status.finished, sum(invalid.values())
        why = [f"{reason}: {count(n)}" for reason, n in invalid.items()]
        cells = ("source", "", count(rows), count(rows - lost), count(lost), ", ".join(why))
        table.append("| " + " | ".join(map(escape_markdown, cells)) + " |")
    for node in nodes:
        name = node["name"]
        rows_in, kept, dropped = totals.get(name, (0, 0, 0))
        op = node["op"] + (f" · {node['engine']}" if node["engine"] else "")
        boxes.append(Box(name, (op, f"{count(rows_in)} in, {count(kept)} kept"), node["from"]))
        why = [f"{reason}: {count(n)}" for reason, n in facts.rejects.get(name, {}).items()]
        cells = (name, op, count(rows_in), count(kept), count(dropped), ", ".join(why))
        table.append("| " + " | ".join(map(escape_markdown, cells)) + " |")
    drawing = flowchart(boxes, facts.plan["outputs"])
    return (
        f"## How it was made\n\n{code_block(drawing, 'mermaid')}\n\n" + "\n".join(table) + "\n\n"
        f"One source row may become several on the way. All of it, prompts too, is in `{RECIPE}`."
    )


def _models(facts: CardFacts) -> str:
    if not facts.recipe.engines:
        return "## Models\n\nNo model was asked."
    lines = ["## Models", "", "| engine | model | revision | licence |", "|---|---|---|---|"]
    for name, engine in facts.recipe.engines.items():
        model = public_name(engine.model)
        shown = code_span(model, in_table=True) + (
            " (a folder of its maker's)" if is_local(engine.model) else ""
        )
        if re.fullmatch(r"[\w.-]+/[\w.-]+", model):
            shown = f"[{model}](https://huggingface.co/{model})"
        pinned = facts.commits.get(name) or engine.revision
        revision = code_span(pinned, in_table=True) if pinned else "not pinned"
        licence = escape_markdown(engine.license or "not noted")
        lines.append(f"| {escape_markdown(name)} | {shown} | {revision} | {licence} |")
    return "\n".join(lines)


def _licences(facts: CardFacts) -> str:
    recipe = facts.recipe
    source = facts.missing or named_paths(recipe.source.paths)
    dataset = escape_markdown(recipe.license or "not noted in the recipe")
    rows = escape_markdown(recipe.source.license or "not noted in the recipe")
    lines = [
        f"- this dataset: {dataset}",
        f"- the source, {code_span(source)}, whose rows are in it: {rows}",
    ]
    if not all((recipe.license, recipe.source.license, *_noted(facts))):
        lines.append(
            "- what isn't noted is not thereby free: look at the source's licence and at what the "
            "terms of each model say of its outputs"
        )
    return "## Licences\n\n" + "\n".join(lines)


def _noted(facts: CardFacts) -> list[str | None]:
    return [engine.license for engine in facts.recipe.engines.values()]


def _limits(facts: CardFacts) -> str:
    status, recipe = facts.status, facts.recipe
    lines = []
    if recipe.engines:
        lines.append(
            "- texts of a model: what it made was kept or dropped by the steps above alone, and "
            "nothing says that a person read it; it can be wrong, and biased as its models are"
        )
    lost = status.source - status.kept
    if lost:
        share = f"{100 * lost / status.source:.0f} %"
        lines.append(
            f"- {count(lost)} of {plural(status.source, 'source row')} ({share}) gave no example, "
            "so what is left isn't a fair sample of the source"
        )
    if status.pending:
        lines.append(f"- not finished: {plural(status.pending, 'source row')} not run yet")
    if recipe.source.limit:
        lines.append(f"- of the source only the first {plural(recipe.source.limit, 'row')}")
    folders = [escape_markdown(name) for name, e in recipe.engines.items() if is_local(e.model)]
    if folders:
        lines.append(
            f"- not to be made again elsewhere: {_listed(folders)} is a model of its maker's"
        )
    return "## Limits\n\n" + "\n".join(lines) if lines else ""


def _reproducing(facts: CardFacts, links: CardLinks) -> str:
    recipe = f"{links.reference}/{RECIPE}" if links.reference else RECIPE
    locked = " --locked" if facts.lock else ""
    command = f"raygen apply {recipe}{locked} --out again"
    lines = ["## Make it again", "", code_block(command)]
    if facts.missing and not links.has_source:
        advice = (
            f"The recipe reads {code_span(facts.missing)}, which isn't part of this: put it there "
            f"(seen from `{RECIPE}`), or name the file with `--set source.path=FILE`."
        )
        lines += ["", advice]
    lines += ["", f"- content: `{facts.content}`", f"- plan: `{facts.status.plan}`"]
    if facts.lock:
        lines.append(f"- `{STORED}` pins models, prompts, source and packages")
    lines.append(f"{SIGNATURE}{version('raygen')}")
    return "\n".join(lines)


def _citing(facts: CardFacts, links: CardLinks) -> str:
    recipe = facts.recipe
    fields = {
        "title": recipe.recipe,
        "author": " and ".join(recipe.authors),
        "year": f"{facts.committed_at:%Y}",
        "howpublished": f"\\url{{{_address(links.reference)}}}" if links.reference else "",
        "note": f"Dataset made with raygen, content {facts.content}",
    }
    lines = ",\n".join(
        f"  {name} = {{{_tex(visible_line(value))}}}" for name, value in fields.items() if value
    )
    key = re.sub(r"\W+", "-", recipe.recipe).strip("-").lower()
    entry = f"@misc{{{key}-{facts.committed_at:%Y},\n{lines}\n}}"
    return f"## Cite it\n\n{code_block(entry, 'bibtex')}"


def _address(reference: str) -> str:
    """Convert a reference to an address for a browser."""
    hub = "hf://datasets/"
    if not reference.startswith(hub):
        return reference
    return "https://huggingface.co/datasets/" + reference.removeprefix(hub).partition("@")[0]


def _tex(text: str) -> str:
    return text if text.startswith("\\url") else re.sub(r"([&%$#_])", r"\\\1", text)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"


def write_card(folder: Folder) -> str:
    """Write or replace the card in a dataset's folder, and return its path.

    The header lists each file of the examples, since the same folder holds files of replaced rows.
    Raises DatasetError, also where the folder has another README.
    """
    dataset = open_dataset(folder)
    check_writable(folder, DATASET, "DIR")
    facts = card_facts(dataset)
    if _has_card(folder) and not _is_signed(folder):
        raise DatasetError(
            f"{folder.join(CARD)} is no card that raygen wrote, and stays as it is; move it away",
            exit_code=2,
        )
    data = facts.files if len(facts.files) <= _MOST_FILES else ()
    load = (
        f'"path/to/{folder.uri.rpartition("/")[2]}", split="train"' if data and folder.local else ""
    )
    text = dataset_card(facts, CardLinks(data, load))
    with storage_errors("write the card", folder.uri):
        folder.write_text(CARD, text)
    return folder.join(CARD)


def discard_card(folder: Folder) -> None:
    """Delete the card in a dataset's folder, because its rows are replaced. Raises DatasetError."""
    if _has_card(folder) and _is_signed(folder):
        with storage_errors("delete the card", folder.uri):
            folder.delete(CARD)


def _has_card(folder: Folder) -> bool:
    with storage_errors("look for the card", folder.uri):
        return folder.exists(CARD)


def _is_signed(folder: Folder) -> bool:
    with storage_errors("read the card", folder.uri):
        return SIGNATURE in folder.read_text(CARD)
