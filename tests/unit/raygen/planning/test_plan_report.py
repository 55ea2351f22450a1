"""What a run would pay now, beside what the whole plan is estimated to take."""

from __future__ import annotations

import pytest

from raygen.planning.estimate import EngineEstimate, Estimate, NodeEstimate
from raygen.planning.plan_report import Payment, PlanOverview
from raygen.planning.reuse import Reuse
from tests.support.plans import fake_spec, node, plan

ASK = {"prompt": "{{ question }}", "into": "text"}
OF = plan(
    [node("ask", "generate", **ASK), node("more", "generate", "ask", **ASK)],
    ("more",),
    fake_spec("a"),
    {"text": "string"},
)


def overview(done: int = 0, reuse: Reuse | None = None, price: float | None = 4.0) -> PlanOverview:
    """A plan over 100 rows whose two nodes ask once a row: 30 and 10 tokens in, 10 out each."""
    nodes = {
        "ask": NodeEstimate(100, 100, 100, 3000, 1000, None, "run"),
        "more": NodeEstimate(100, 100, 100, 1000, 1000, None, "run"),
    }
    engines = {"teacher": EngineEstimate(200, 4000, 2000, price, "tokenizer")}
    estimate = Estimate(100, 100, None, None, price, nodes, engines)
    return PlanOverview(OF, estimate, done=done, reuse=reuse)


def test_a_new_plan_pays_for_all() -> None:
    assert overview().to_pay == Payment(200, 4000, 2000, pytest.approx(6 * 4 / 6))
    assert overview(price=None).to_pay.dollars is None


def test_rows_that_are_done_are_not_paid_for_again() -> None:
    assert overview(done=75).to_pay == Payment(50, 1000, 500, pytest.approx(1.0))
    assert overview(done=100).to_pay == Payment(0, 0, 0, 0)


def test_calls_that_come_back_are_not_paid_for_again() -> None:
    reuse = Reuse({"ask": "same", "more": "changed"}, {"ask": 80, "more": 80})
    due = overview(reuse=reuse).to_pay
    assert (due.calls, due.prompt_tokens) == (pytest.approx(120), pytest.approx(1600))
    assert due.dollars == pytest.approx(4 * (0.2 * 4000 + 2000) / 6000)
    assert overview(reuse=reuse).to_json()["to_pay"]["calls"] == pytest.approx(120)
