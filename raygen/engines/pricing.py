"""What an engine's tokens cost, by the price that its recipe or profile names.

Knows nothing of who counted the tokens.
"""

from __future__ import annotations

from raygen.engines.base import EngineSpec

_MILLION = 1_000_000


def cost_in_dollars(
    spec: EngineSpec, prompt: float, output: float, cached: float = 0
) -> float | None:
    """Compute the cost of tokens in dollars; None for an engine without a price.

    `cached` of the prompt's tokens came from the provider's cache. In batches each costs the share
    that the price names.
    """
    price = spec.price
    if price is None:
        return None
    read = (prompt - cached) * price["input"] + cached * price.get("cached", price["input"])
    share = price.get("batch", 1.0) if spec.args.get("mode") == "batch" else 1.0
    return share * (read + output * price["output"]) / _MILLION
