"""What a run will ask of its engines and what will come of it, estimated before it starts.

Figures come from the last run or preview where there was one, else from what ops say of their own
cost, and then they are upper bounds. Pure. Knows nothing of files or terminals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from raygen.core import count, plural
from raygen.engines import EngineSpec
from raygen.planning.history import (
    NodeMeasure,
    RunMeasurements,
    best_measurements,
    conditions_of,
    identities,
)
from raygen.planning.plan import Node, Plan
from raygen.planning.prompt_tokens import PromptTokenCounts
from raygen.recipe import SOURCE

NodeBasis = Literal["run", "preview", "changed", "assumed"]
"""`changed`: the share that passed under other settings, the rest assumed."""


@dataclass(frozen=True, slots=True)
class NodeEstimate:
    """One node. `basis` says where its figures come from; `pass_rate` is None where assumed."""

    rows_in: float
    rows_out: float
    calls: float
    prompt_tokens: float
    output_tokens: float
    pass_rate: float | None
    basis: NodeBasis


@dataclass(frozen=True, slots=True)
class EngineEstimate:
    """One engine over all nodes. `counted` is how prompt tokens were counted where not measured."""

    calls: float
    prompt_tokens: float
    output_tokens: float
    dollars: float | None
    counted: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A whole run over `rows` source rows.

    `seconds` and `dollars` are None where nothing is known of pace or price. `pace` says whose
    throughput the time is of. `notes` are sentences for people.
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
        """All calls."""
        return sum(node.calls for node in self.nodes.values())

    @property
    def prompt_tokens(self) -> float:
        """All prompt tokens."""
        return sum(node.prompt_tokens for node in self.nodes.values())

    @property
    def output_tokens(self) -> float:
        """All output tokens."""
        return sum(node.output_tokens for node in self.nodes.values())

    def to_json(self) -> dict[str, Any]:
        """The estimate for a program, figures rounded to what they are worth."""
        totals = {
            name: round(getattr(self, name)) for name in ("calls", "prompt_tokens", "output_tokens")
        }
        figures: dict[str, Any] = _rounded({**asdict(self), **totals, "notes": list(self.notes)})
        return figures


@dataclass(frozen=True, slots=True)
class _Share:
    """What one row in costs at a node, by engine (calls, prompt and output tokens), and gives."""

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
    """The estimate of a plan over so many source rows, run by so many actors.

    `stop_at` is `output.rows`.
    """
    known = identities(plan.to_json())
    typical = _mean(probed.tokens.values())
    shares = {
        node.name: _share(node, known[node.name], probed, measured, typical) for node in plan.nodes
    }
    whole = _flow(plan, rows, shares)
    examples = sum(_rows_of(plan, rows, whole, name) for name in plan.outputs)
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
        for name, node in whole.items()
        if node.pass_rate == 0 and node.rows_in
    ]
    if stop_at is not None and examples > stop_at:
        used = min(rows, max(1, round(rows * stop_at / examples)))
        notes.append(f"output.rows stops it after about {used:,} of {rows:,} source rows")
        whole, examples = _flow(plan, used, shares), float(stop_at)
    engines = _engines(plan, whole, shares, probed)
    paced = [one for one in measured if _same_engines(one, shares, known)]
    seconds, pace, why = _time(whole, paced, conditions_of(plan), actors)
    notes += why
    priced = [engine.dollars for engine in engines.values() if engine.dollars is not None]
    return Estimate(
        rows=rows,
        examples=examples,
        seconds=seconds,
        pace=pace,
        dollars=sum(priced) if priced else None,
        nodes=whole,
        engines=engines,
        notes=tuple(notes),
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
    seen = source.nodes[node.name]
    if not same:
        # Other parameters: only the share that passes is taken over.
        if seen.pass_rate is None:
            return assumed
        passed = _rows_out(seen) * seen.rows_in / (seen.kept + seen.dropped)
        rows_out = assumed.rows_out * passed
        return replace(assumed, rows_out=rows_out, pass_rate=seen.pass_rate, basis="changed")
    engines = {
        name: (
            use.calls / seen.rows_in,
            # Backends don't count the prompt of every kind of call.
            (use.prompt_tokens or use.calls * probed.tokens.get((node.name, name), 0.0))
            / seen.rows_in,
            use.output_tokens / seen.rows_in,
        )
        for name, use in seen.engines.items()
    }
    return _Share(_rows_out(seen), seen.pass_rate, source.basis, engines)


def _rows_out(seen: NodeMeasure) -> float:
    """Rows out for one in. Where none was kept so far, the next one may be (rule of succession)."""
    made = seen.kept + seen.dropped
    if seen.kept or not made:
        return seen.kept / seen.rows_in
    return made / seen.rows_in / (made + 2)


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
    return float(rows) if name == SOURCE else nodes[name].rows_out


def _engines(
    plan: Plan,
    nodes: Mapping[str, NodeEstimate],
    shares: Mapping[str, _Share],
    probed: PromptTokenCounts,
) -> dict[str, EngineEstimate]:
    found = {}
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
        found[name] = EngineEstimate(calls, prompt, output, _money(spec, prompt, output), counted)
    return found


def _money(spec: EngineSpec, prompt: float, output: float) -> float | None:
    if spec.price is None:
        return None
    return (prompt * spec.price["input"] + output * spec.price["output"]) / 1e6


def _time(
    nodes: Mapping[str, NodeEstimate],
    measured: Sequence[RunMeasurements],
    conditions: Mapping[str, str],
    actors: int,
) -> tuple[float | None, Literal["run", "preview"] | None, list[str]]:
    """At the pace of the last run; a preview has few rows in flight, so a run is faster.

    The pace of an actor on other hardware says nothing; that of more such actors is taken as so
    many times as fast.
    """
    paced = sorted(
        (one for one in measured if one.tokens and one.seconds), key=lambda one: one.basis != "run"
    )
    here = [one for one in paced if one.conditions in ({}, dict(conditions))]
    if not here:
        elsewhere = [
            f"the last {one.basis} had {_listed(one.conditions)}, whose pace says nothing of "
            f"{_listed(conditions)}"
            for one in paced[:1]
        ]
        return None, None, elsewhere
    one = here[0]
    tokens = sum(node.prompt_tokens + node.output_tokens for node in nodes.values())
    notes = []
    if round(one.actors, 1) != actors:
        notes.append(
            f"the time is that of the last {one.basis}, which had "
            f"{plural(round(one.actors), 'actor')}, as if {count(actors)} were "
            f"{actors / one.actors:.2g} times as fast"
        )
    return tokens * one.seconds / one.tokens * one.actors / actors, one.basis, notes


def _listed(conditions: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {what}" for name, what in conditions.items()) or "no engine"


def _same_engines(
    one: RunMeasurements, shares: Mapping[str, _Share], known: Mapping[str, str]
) -> bool:
    """Whether it ran some node that asks an engine just as this plan does."""
    return any(
        share.engines and name in one.nodes and one.nodes[name].identity == known[name]
        for name, share in shares.items()
    )


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {name: _rounded(one) for name, one in value.items()}
    return value
