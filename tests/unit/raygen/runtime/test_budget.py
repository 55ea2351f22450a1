"""Budgets: what they are read from, when they are used up, and what is needed to count dollars."""

from __future__ import annotations

import pytest

from raygen.core.errors import UserError
from raygen.dataset.records import Reported
from raygen.engines.base import EngineSpec
from raygen.runtime.budget import Budget, check_prices, parse_budget, total_dollars

ENDPOINT = {"base_url": "https://api.example.com/v1"}
PAID = {"teacher": (600_000, 400_000), "judge": (10, 0)}


def test_limits_are_read_and_written_as_words() -> None:
    budget = parse_budget({"tokens": "1e6", "dollars": "2.5", "hours": "3"})
    assert budget == Budget(1_000_000, 2.5, 3)
    assert budget.words == [
        *("--budget", "tokens=1000000", "--budget", "dollars=2.5", "--budget", "hours=3"),
    ]
    assert parse_budget({}) == Budget()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("token", "5", "no such budget; did you mean 'tokens'?"),
        ("tokens", "many", "found 'many', expected a number above 0"),
        ("hours", "0", "expected a number above 0"),
        ("dollars", "inf", "expected a number above 0"),
        ("dollars", "nan", "expected a number above 0"),
    ],
)
def test_a_wrong_limit_says_what_was_expected(name: str, value: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_budget({name: value})
    assert message in str(caught.value)
    assert f"--budget {name}={value}" in str(caught.value)


def test_the_limit_that_is_reached_is_named() -> None:
    assert Budget().used_up(PAID, 10, 10) is None
    assert Budget(tokens=1_000_011, dollars=3, hours=1).used_up(PAID, 2.9, 0.9) is None
    tokens = Budget(tokens=1_000_000, dollars=1).used_up(PAID, 9, 0)
    assert tokens == "the budget of 1,000,000 tokens is used up (1,000,010 tokens)"
    assert "$1.00 is used up ($1.20)" in str(Budget(dollars=1).used_up(PAID, 1.2, 0))
    assert "0.5 hours" in str(Budget(hours=0.5).used_up({}, 0, 0.51))


def test_a_raised_budget_is_twice_what_was_used() -> None:
    budget = Budget(tokens=1000, dollars=5)
    assert budget.raised(PAID, 0.2) == Budget(tokens=2_000_020, dollars=5)
    assert budget.raised({}, 0) == budget


def test_dollars_are_counted_by_the_prices_of_today() -> None:
    engines = {
        "teacher": EngineSpec("teacher", "m", price={"input": 1, "output": 10}),
        "judge": EngineSpec("judge", "m"),
    }
    assert total_dollars({**PAID, "gone": (9, 9)}, engines) == pytest.approx(0.6 + 4)


def test_cached_tokens_and_batches_cost_what_the_price_says() -> None:
    price = {"input": 2, "output": 10, "cached": 0.5, "batch": 0.5}
    live = {"teacher": EngineSpec("teacher", "m", price=price)}
    paid = {"teacher": (1_000_000, 100_000)}
    cached = {"teacher": Reported(cached=400_000)}
    assert total_dollars(paid, live) == pytest.approx(3)
    assert total_dollars(paid, live, cached) == pytest.approx(1.2 + 0.2 + 1)
    batch = {"teacher": EngineSpec("teacher", "m", price=price, args={"mode": "batch"})}
    assert total_dollars(paid, batch) == pytest.approx(1.5)


def test_a_budget_in_dollars_needs_prices_of_what_costs_money() -> None:
    def engine(name: str, **fields: object) -> dict[str, EngineSpec]:
        return {name: EngineSpec(name, "m", **fields)}  # type: ignore[arg-type]

    rented = engine("far", backend="openai", args=ENDPOINT)
    own = engine("near", backend="openai", args={"base_url": "http://localhost:8000/v1"})
    check_prices(Budget(tokens=5), rented)
    check_prices(Budget(dollars=5), own | engine("local"))
    priced = engine("far", backend="openai", args=ENDPOINT, price={"input": 1, "output": 2})
    check_prices(Budget(dollars=5), priced)
    with pytest.raises(UserError, match=r"no price is known for 'far'; give `price:"):
        check_prices(Budget(dollars=5), rented | own)
