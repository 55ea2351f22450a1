"""Read what a run or a preview measured of a plan: rows, calls and tokens by node, and its pace.

Later estimates start from it. A run's figures lie in its dataset, those of a recipe's last preview
in the user's cache. Knows nothing of estimates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from raygen.core import digest, make_private, plural
from raygen.dataset import Dataset, Folder, RowResult
from raygen.engines.models import cache_folder
from raygen.planning.plan import Plan

Basis = Literal["run", "preview"]


class _Cached(BaseModel):
    """Base of what lies in the cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EngineUsage(_Cached):
    """The calls of one node to one engine."""

    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0


class NodeMeasure(_Cached):
    """Rows in, kept and dropped at one node, and its calls by engine.

    Where the node's `identity` has changed since, only its pass rate still means something.
    """

    identity: str
    rows_in: int
    kept: int
    dropped: int
    engines: dict[str, EngineUsage]

    @property
    def pass_rate(self) -> float | None:
        """The share of its outcomes that the node kept; None where it made none."""
        made = self.kept + self.dropped
        return self.kept / made if made else None


class RunMeasurements(_Cached):
    """The measurements of one run or preview; `seconds` are of the wall clock.

    `actors` is the mean number that ran side by side. `conditions` is what the engines ran on;
    empty where that isn't known or changed during the run.
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
    """List the identity of each node of a plan.json: the hash of op, parameters, prompts, models.

    It is empty in a plan of an older raygen.
    """
    return {node["name"]: node.get("identity", "") for node in plan["nodes"]}


def conditions_of(plan: Plan) -> dict[str, str]:
    """Describe what a plan's engines run on, so that the pace of two runs can be compared."""
    return {
        name: spec.backend + (f" on {plural(spec.gpus, 'GPU')}" if spec.gpus else "")
        for name, spec in plan.engines.items()
    }


def measure_rows(plan: Plan, results: Sequence[RowResult], seconds: float) -> RunMeasurements:
    """Measure the rows of a preview, which took so many seconds."""
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
    """Measure the runs in an output folder; None where no row has finished there.

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
        (made.node, made.engine): EngineUsage(
            calls=made.calls,
            prompt_tokens=made.prompt_tokens,
            output_tokens=made.output_tokens,
        )
        for made in dataset.calls(status.plan)
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
        conditions=conditions[0] if all(other == conditions[0] for other in conditions) else {},
    )


def store_preview(recipe: str, measured: RunMeasurements) -> None:
    """Write a preview's figures into the user's cache; do nothing where that can't be written."""
    path = _preview_path(recipe)
    try:
        make_private(path.parent)
        Folder.at(path.parent).write_text(path.name, measured.model_dump_json())
    except OSError:
        return


def last_preview(recipe: str) -> RunMeasurements | None:
    """Read the figures of this recipe's last preview on this machine; None where there was none."""
    try:
        return RunMeasurements.model_validate_json(_preview_path(recipe).read_text("utf-8"))
    except (OSError, ValidationError):
        return None


def best_measurements(
    name: str, identity: str, known: Iterable[RunMeasurements]
) -> tuple[RunMeasurements, bool] | None:
    """Choose the measurements that fit a node best; tell whether its parameters were the same."""
    candidates = [
        (run.nodes[name].identity == identity, run.nodes[name].rows_in, run)
        for run in known
        if name in run.nodes and run.nodes[name].rows_in
    ]
    if not candidates:
        return None
    same, _, best = max(candidates, key=lambda item: item[:2])
    return best, same


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
