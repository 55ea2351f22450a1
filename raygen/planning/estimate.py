"""Estimate before a run what it will cost its engines and how many examples it will make.

Figures come from the last run or preview where there was one, else from the costs that ops declare,
and then they are upper bounds. Pure. Knows nothing of files or terminals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from raygen.core import count, plural
from raygen.engines import cost_in_dollars, endpoint_args
from raygen.planning.history import (
    NodeMeasure,
    RunMeasurements,
    best_measurements,
    conditions_of,
    identities,
)
from raygen.planning.plan import Node, Plan
from raygen.planning.prompt_tokens import PromptTokenCounts
from raygen.recipe import REJECTS, SOURCE, feeding_node

NodeBasis = Literal["run", "preview", "changed", "assumed"]
"""`changed`: the share that passed under other settings, the rest assumed."""


@dataclass(frozen=True, slots=True)
class NodeEstimate:
    """The figures of one node; `basis` says where they come from.

    `pass_rate` is the share of rows that the node keeps, None where it is assumed.
    """

    rows_in: float
    rows_out: float
    calls: float
    prompt_tokens: float
    output_tokens: float
    pass_rate: float | None
    basis: NodeBasis


@dataclass(frozen=True, slots=True)
class EngineEstimate:
    """The figures of one engine over all nodes.

    `counted` says how prompt tokens were counted where no run has measured them.
    """

    calls: float
    prompt_tokens: float
    output_tokens: float
    dollars: float | None
    counted: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A whole run over `rows` source rows.

    `seconds` and `dollars` are None where pace or price isn't known. `pace` says whose throughput
    the time is computed from. `notes` are sentences for people.
    """

    rows: int
    examples: float
    seconds: float | None
    pace: Literal["run", "preview"] | None
    dollars: float | None
    nodes: Mapping[str, NodeEstimate]
    engines: Mapping[str, EngineEstimate]
    notes: tuple[str, ...] = ()

    @property
    def calls(self) -> float:
        """The calls of all nodes."""
        return sum(node.calls for node in self.nodes.values())

    @property
    def prompt_tokens(self) -> float:
        """The prompt tokens of all nodes."""
        return sum(node.prompt_tokens for node in self.nodes.values())

    @property
    def output_tokens(self) -> float:
        """The output tokens of all nodes."""
        return sum(node.output_tokens for node in self.nodes.values())

    def to_json(self) -> dict[str, Any]:
        """Convert the estimate to JSON, figures rounded to four digits."""
        totals = {
            name: round(getattr(self, name)) for name in ("calls", "prompt_tokens", "output_tokens")
        }
        figures: dict[str, Any] = _rounded({**asdict(self), **totals, "notes": list(self.notes)})
        return figures


@dataclass(frozen=True, slots=True)
class _Share:
    """What one row into a node yields, and costs: calls, prompt and output tokens by engine."""

    rows_out: float
    pass_rate: float | None
    basis: NodeBasis
    engines: Mapping[str, tuple[float, float, float]]


def estimate_run(
    plan: Plan,
    rows: int,
    probed: PromptTokenCounts,
    measured: Sequence[RunMeasurements] = (),
    stop_at: int | None = None,
    actors: int = 1,
) -> Estimate:
    """Estimate a plan's run.

    Args:
        plan: the plan.
        rows: source rows.
        probed: prompt tokens per call, counted on sample rows.
        measured: earlier runs and previews.
        stop_at: `output.rows`, the examples at which the run stops.
        actors: how many run side by side.
    """
    known = identities(plan.to_json())
    typical = _mean(probed.tokens.values())
    shares = {
        node.name: _share(node, known[node.name], probed, measured, typical) for node in plan.nodes
    }
    nodes = _flow(plan, rows, shares)
    examples = sum(_rows_of(plan, rows, nodes, name) for name in plan.outputs)
    notes = [
        f"engine {name}: {why}; its tokens are characters / 4"
        for name, why in probed.problems.items()
    ]
    notes += [
        f"{name}: its prompts can't be counted before a run ({why}); taken as long as the others"
        for name, why in probed.failures.items()
    ]
    notes += [
        f"{name} has kept nothing so far; taken as {100 * shares[name].rows_out:.0f} rows of 100"
        for name, node in nodes.items()
        if node.pass_rate == 0 and node.rows_in
    ]
    if stop_at is not None and examples > stop_at:
        used = min(rows, max(1, round(rows * stop_at / examples)))
        notes.append(f"output.rows stops it after about {used:,} of {rows:,} source rows")
        nodes, examples = _flow(plan, used, shares), float(stop_at)
    engines = _engines(plan, nodes, shares, probed)
    paced = [run for run in measured if _same_engines(run, shares, known)]
    seconds, pace, why = _time(nodes, paced, conditions_of(plan), actors)
    notes += why
    notes += _waits(plan)
    priced = [engine.dollars for engine in engines.values() if engine.dollars is not None]
    return Estimate(
        rows=rows,
        examples=examples,
        seconds=seconds,
        pace=pace,
        dollars=sum(priced) if priced else None,
        nodes=nodes,
        engines=engines,
        notes=tuple(notes),
    )


def _waits(plan: Plan) -> Iterator[str]:
    """Say which engines' answers come hours later."""
    for name, spec in plan.engines.items():
        args = endpoint_args(spec)
        if args is not None and args.mode == "batch":
            yield (
                f"engine {name!r} sends batches: each step of the graph that asks it waits for its "
                "own, up to a day"
            )


def _share(
    node: Node,
    identity: str,
    probed: PromptTokenCounts,
    measured: Sequence[RunMeasurements],
    typical: float,
) -> _Share:
    assumed = _assumed(node, probed, typical)
    best = best_measurements(node.name, identity, measured)
    if best is None:
        return assumed
    source, same = best
    measure = source.nodes[node.name]
    if not same:
        # Other parameters: only the share that passes is taken over.
        if measure.pass_rate is None:
            return assumed
        passed = _rows_out(measure) * measure.rows_in / (measure.kept + measure.dropped)
        rows_out = assumed.rows_out * passed
        return replace(assumed, rows_out=rows_out, pass_rate=measure.pass_rate, basis="changed")
    engines = {
        name: (
            use.calls / measure.rows_in,
            # Backends don't count the prompt of every kind of call.
            (use.prompt_tokens or use.calls * probed.tokens.get((node.name, name), 0.0))
            / measure.rows_in,
            use.output_tokens / measure.rows_in,
        )
        for name, use in measure.engines.items()
    }
    return _Share(_rows_out(measure), measure.pass_rate, source.basis, engines)


def _rows_out(measure: NodeMeasure) -> float:
    """Compute rows out for one row in; where none was kept, by the rule of succession."""
    made = measure.kept + measure.dropped
    if measure.kept or not made:
        return measure.kept / measure.rows_in
    return made / measure.rows_in / (made + 2)


def _assumed(node: Node, probed: PromptTokenCounts, typical: float) -> _Share:
    cost = node.cost
    names = [name for (at, name) in probed.tokens if at == node.name] or [
        name for name in (node.engine, *node.params.engines().values()) if name is not None
    ][:1]
    output = cost.calls * cost.completions * cost.max_tokens
    engines = {
        name: (
            cost.calls / len(names),
            cost.calls / len(names) * probed.tokens.get((node.name, name), typical),
            output / len(names),
        )
        for name in names
    }
    return _Share(cost.rows, None, "assumed", engines)


def _flow(plan: Plan, rows: int, shares: Mapping[str, _Share]) -> dict[str, NodeEstimate]:
    nodes: dict[str, NodeEstimate] = {}
    for node in plan.nodes:
        share = shares[node.name]
        rows_in = sum(_rows_of(plan, rows, nodes, name) for name in node.inputs)
        calls, prompt, output = (
            rows_in * sum(use[index] for use in share.engines.values()) for index in range(3)
        )
        nodes[node.name] = NodeEstimate(
            rows_in, rows_in * share.rows_out, calls, prompt, output, share.pass_rate, share.basis
        )
    return nodes


def _rows_of(plan: Plan, rows: int, nodes: Mapping[str, NodeEstimate], name: str) -> float:
    if name == SOURCE:
        return float(rows)
    node = nodes[feeding_node(name)]
    # A pass rate is of outcomes, of which so many are dropped for those that are kept.
    passing = 1.0 if node.pass_rate is None else max(node.pass_rate, 1e-9)
    return node.rows_out * (1 / passing - 1) if name.endswith(REJECTS) else node.rows_out


def _engines(
    plan: Plan,
    nodes: Mapping[str, NodeEstimate],
    shares: Mapping[str, _Share],
    probed: PromptTokenCounts,
) -> dict[str, EngineEstimate]:
    estimates = {}
    for name, spec in plan.engines.items():
        calls, prompt, output = (
            sum(
                nodes[node].rows_in * share.engines[name][index]
                for node, share in shares.items()
                if name in share.engines
            )
            for index in range(3)
        )
        guessed = name in probed.problems or spec.backend == "fake"
        counted = "characters / 4" if guessed else "tokenizer"
        estimates[name] = EngineEstimate(
            calls, prompt, output, cost_in_dollars(spec, prompt, output), counted
        )
    return estimates


def _time(
    nodes: Mapping[str, NodeEstimate],
    measured: Sequence[RunMeasurements],
    conditions: Mapping[str, str],
    actors: int,
) -> tuple[float | None, Literal["run", "preview"] | None, list[str]]:
    """Compute the time at the pace of the last run, else of a preview, which is slower.

    The pace of an actor on other hardware says nothing; that of more such actors is taken as so
    many times as fast.
    """
    paced = sorted(
        (run for run in measured if run.tokens and run.seconds), key=lambda run: run.basis != "run"
    )
    here = [run for run in paced if run.conditions in ({}, dict(conditions))]
    if not here:
        elsewhere = [
            f"the last {run.basis} had {_listed(run.conditions)}, whose pace says nothing of "
            f"{_listed(conditions)}"
            for run in paced[:1]
        ]
        return None, None, elsewhere
    last = here[0]
    tokens = sum(node.prompt_tokens + node.output_tokens for node in nodes.values())
    notes = []
    if round(last.actors, 1) != actors:
        notes.append(
            f"the time is that of the last {last.basis}, which had "
            f"{plural(round(last.actors), 'actor')}, as if {count(actors)} were "
            f"{actors / last.actors:.2g} times as fast"
        )
    return tokens * last.seconds / last.tokens * last.actors / actors, last.basis, notes


def _listed(conditions: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {what}" for name, what in conditions.items()) or "no engine"


def _same_engines(
    run: RunMeasurements, shares: Mapping[str, _Share], known: Mapping[str, str]
) -> bool:
    """Tell whether a run had a node that calls an engine just as this plan does."""
    return any(
        share.engines and name in run.nodes and run.nodes[name].identity == known[name]
        for name, share in shares.items()
    )


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {name: _rounded(figure) for name, figure in value.items()}
    return value
