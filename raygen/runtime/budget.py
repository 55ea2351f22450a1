"""Budgets: how many tokens, dollars or hours a run may use before it stops cleanly.

Knows prices and counts; knows nothing of who counts or how a run is stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from raygen.config import did_you_mean
from raygen.core import UserError, money
from raygen.dataset import Reported, Tokens
from raygen.engines import EngineSpec, cost_in_dollars, endpoint_args


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits that stop a run. `tokens` and `dollars` are of all runs of the dataset together,
    `hours` of one run's wall clock."""

    tokens: float | None = None
    dollars: float | None = None
    hours: float | None = None

    @property
    def words(self) -> list[str]:
        """The budget as on the command line."""
        return [
            word for name, limit in self._set() for word in ("--budget", f"{name}={limit:.15g}")
        ]

    @property
    def limits_words(self) -> str:
        """Say what ends a run: the limits, or that there are none."""
        limits = [_amount(name, limit) for name, limit in self._set()]
        if limits:
            return f"{', '.join(limits)} (--budget)"
        return "no limit set; --budget tokens=N, dollars=N or hours=N sets one"

    def used_up(self, paid: Tokens, dollars: float, hours: float) -> str | None:
        """Say in words which limit is reached; None while none is."""
        used = {"tokens": total_tokens(paid), "dollars": dollars, "hours": hours}
        for name, limit in self._set():
            if used[name] >= limit:
                return (
                    f"the budget of {_amount(name, limit)} is used up ({_amount(name, used[name])})"
                )
        return None

    def raised(self, paid: Tokens, dollars: float) -> Budget:
        """Make a budget to go on with: twice what was used of what is used up."""
        used = {"tokens": total_tokens(paid), "dollars": dollars, "hours": 0.0}
        limits = {n: 2 * used[n] if used[n] >= limit else limit for n, limit in self._set()}
        return Budget(**limits)

    def _set(self) -> list[tuple[str, float]]:
        limits = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return [(name, limit) for name, limit in limits if limit is not None]


def parse_budget(limits: Mapping[str, str]) -> Budget:
    """Parse `tokens=1e6`, `dollars=5`, `hours=2`, given as pairs. Raises UserError."""
    known = [field.name for field in fields(Budget)]
    parsed: dict[str, Any] = {}
    for name, text in limits.items():
        if name not in known:
            raise UserError(f"--budget {name}={text}: no such budget{did_you_mean(name, known)}")
        try:
            parsed[name] = float(text)
        except ValueError:
            parsed[name] = math.nan
        if not 0 < parsed[name] < math.inf:
            raise UserError(f"--budget {name}={text}: found {text!r}, expected a number above 0")
    return Budget(**parsed)


def check_prices(budget: Budget, engines: Mapping[str, EngineSpec]) -> None:
    """Check that all prices for a budget in dollars are known. Raises UserError."""
    unpriced = [name for name, spec in engines.items() if spec.price is None and not _local(spec)]
    if budget.dollars is not None and unpriced:
        raise UserError(
            f"--budget dollars: no price is known for {', '.join(map(repr, unpriced))}; give "
            "`price: {input: ..., output: ...}` in dollars per million tokens, in the recipe's "
            f"engine or the profile, or --set 'engines.{unpriced[0]}.price={{input: 1, output: 2}}'"
        )


def total_dollars(
    paid: Tokens,
    engines: Mapping[str, EngineSpec],
    reported: Mapping[str, Reported] | None = None,
) -> float:
    """Sum the cost of tokens at today's prices; an engine without a price costs nothing.

    `reported` tells which tokens came from a provider's cache; without it all cost the full price.
    """
    total = 0.0
    for name, (prompt, output) in paid.items():
        cached = (reported or {}).get(name, Reported()).cached or 0
        if name in engines:
            total += cost_in_dollars(engines[name], prompt, output, min(cached, prompt)) or 0.0
    return total


def total_tokens(paid: Tokens) -> int:
    """Sum prompt and output tokens."""
    return sum(prompt + output for prompt, output in paid.values())


def _local(spec: EngineSpec) -> bool:
    args = endpoint_args(spec)
    return args is None or args.local


def _amount(name: str, value: float) -> str:
    if name == "dollars":
        return money(value)
    return f"{value:,.0f} tokens" if name == "tokens" else f"{value:.3g} hours"
