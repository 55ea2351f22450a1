"""Plans as plan.json has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stored_plan(
    plan_hash: str, *nodes: str, columns: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A plan with nodes of these names."""
    return {
        "version": 1,
        "hash": plan_hash,
        "recipe": "r",
        "task": "multiple_choice",
        "labels": [],
        "engines": {},
        "nodes": [
            {
                "name": name,
                "op": "o",
                "op_version": 1,
                "from": ["source"],
                "engine": None,
                "params": {},
                "adds": {},
            }
            for name in nodes
        ],
        "outputs": list(nodes[-1:]),
        "columns": dict(columns or {}),
    }
