"""What a run or a preview has measured of a plan: rows, calls and tokens by node, and its pace.

A later estimate starts from it. A run's figures lie in its dataset; those of the last preview of a
recipe in the user's cache. Knows nothing of estimates.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from raygen.core import digest, plural
from raygen.dataset import Dataset, Folder, RowResult
from raygen.engines.models import cache_folder
from raygen.planning.plan import Plan

Basis = Literal["run", "preview"]


class _Kept(BaseModel):
    """Base of what is kept in the cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EngineUsage(_Kept):
    """What one node asked of one engine."""

    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0


class NodeMeasure(_Kept):
    """Rows in, kept and dropped at one node, and its calls by engine.

    Under another `identity` of the node only the share of rows that pass says something.
    """

    identity: str
    rows_in: int
    kept: int
    dropped: int
    engines: dict[str, EngineUsage]

    @property
    def pass_rate(self) -> float | None:
        """The share of what the node made that it kept."""
        made = self.kept + self.dropped
        return self.kept / made if made else None


class RunMeasurements(_Kept):
    """All that one run or preview says; `seconds` are of the wall clock.

    `actors` is how many ran side by side, in the mean over that time. `conditions` is what the
    engines ran on, empty where that isn't known or changed in between.
    """

    basis: Basis
    plan: str
    rows: int
    examples: int
    seconds: float
    nodes: dict[str, NodeMeasure]
    actors: float = 1.0
    conditions: dict[str, str] = {}

    @property
    def tokens(self) -> int:
        """Prompt and output tokens together."""
        uses = [use for node in self.nodes.values() for use in node.engines.values()]
        return sum(use.prompt_tokens + use.output_tokens for use in uses)


def identities(plan: Mapping[str, Any]) -> dict[str, str]:
    """What decides each node of a plan as it stands in plan.json: op, parameters, prompts, models.

    A plan of an older raygen says nothing of it.
    """
    return {node["name"]: node.get("identity", "") for node in plan["nodes"]}


def conditions_of(plan: Plan) -> dict[str, str]:
    """What a plan's engines run on, by which the pace of two runs can be compared."""
    return {
        name: spec.backend + (f" on {plural(spec.gpus, 'GPU')}" if spec.gpus else "")
        for name, spec in plan.engines.items()
    }


def measure_rows(plan: Plan, results: Sequence[RowResult], seconds: float) -> RunMeasurements:
    """What a preview's rows say."""
    counts: dict[str, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    uses: dict[tuple[str, str], EngineUsage] = defaultdict(EngineUsage)
    for result in results:
        for name, (rows_in, kept, dropped) in result.node_counts.items():
            old = counts[name]
            counts[name] = (old[0] + rows_in, old[1] + kept, old[2] + dropped)
        for call in result.calls:
            old_use = uses[call.node, call.engine]
            uses[call.node, call.engine] = EngineUsage(
                calls=old_use.calls + 1,
                prompt_tokens=old_use.prompt_tokens + call.prompt_tokens,
                output_tokens=old_use.output_tokens + call.output_tokens,
            )
    return RunMeasurements(
        basis="preview",
        plan=plan.hash,
        rows=len(results),
        examples=sum(len(result.examples) for result in results),
        seconds=seconds,
        nodes=_nodes(identities(plan.to_json()), counts, uses),
        conditions=conditions_of(plan),
    )


def measure_dataset(folder: Folder) -> RunMeasurements | None:
    """What the runs in an output folder say, None where no row has finished there.

    Raises DatasetError.
    """
    dataset = Dataset(folder)
    if not dataset.plans():
        return None
    status = dataset.status()
    written = dataset.plan(status.plan)
    if written is None or not status.finished:
        return None
    uses = {
        (node, engine): EngineUsage(calls=calls, prompt_tokens=into, output_tokens=out)
        for node, engine, calls, into, out in dataset.calls(status.plan)
    }
    runs = dataset.runs(status.plan)
    seconds = sum(lasted for lasted, _ in runs)
    busy = sum(lasted * meta.get("actors", 1) for lasted, meta in runs)
    conditions = [meta.get("conditions", {}) for _, meta in runs]
    return RunMeasurements(
        basis="run",
        plan=status.plan,
        rows=status.finished,
        examples=status.examples,
        seconds=seconds,
        nodes=_nodes(identities(written), status.nodes, uses),
        actors=busy / seconds if seconds else 1.0,
        conditions=conditions[0] if all(one == conditions[0] for one in conditions) else {},
    )


def store_preview(recipe: str, measured: RunMeasurements) -> None:
    """Keep a preview's figures in the user's cache; a cache that can't be written is left alone."""
    path = _preview_path(recipe)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(measured.model_dump_json())
        Path(file.name).replace(path)
    except OSError:
        return


def last_preview(recipe: str) -> RunMeasurements | None:
    """The figures of the last preview of the recipe with this name, if it was on this machine."""
    try:
        return RunMeasurements.model_validate_json(_preview_path(recipe).read_text("utf-8"))
    except (OSError, ValidationError):
        return None


def best_measurements(
    name: str, identity: str, known: Iterable[RunMeasurements]
) -> tuple[RunMeasurements, bool] | None:
    """Which of several speaks best for a node, and whether it ran with the same parameters."""
    found = [
        (one.nodes[name].identity == identity, one.nodes[name].rows_in, one)
        for one in known
        if name in one.nodes and one.nodes[name].rows_in
    ]
    if not found:
        return None
    same, _, one = max(found, key=lambda item: item[:2])
    return one, same


def _nodes(
    known: Mapping[str, str],
    counts: Mapping[str, tuple[int, int, int]],
    uses: Mapping[tuple[str, str], EngineUsage],
) -> dict[str, NodeMeasure]:
    engines: dict[str, dict[str, EngineUsage]] = defaultdict(dict)
    for (node, engine), use in uses.items():
        engines[node][engine] = use
    return {
        name: NodeMeasure(
            identity=known[name],
            rows_in=rows_in,
            kept=kept,
            dropped=dropped,
            engines=engines.get(name, {}),
        )
        for name, (rows_in, kept, dropped) in counts.items()
        if name in known
    }


def _preview_path(recipe: str) -> Path:
    return cache_folder() / "previews" / f"{digest('preview', recipe)}.json"
