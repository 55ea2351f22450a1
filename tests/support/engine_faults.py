"""What becomes of one answer of an engine, by way of the `generate` op and a whole row program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raygen.engines.base import Engine, EngineSpec
from raygen.runtime.row_program import RowProgram
from tests.support.plans import node, plan

SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


@dataclass(frozen=True)
class Outcome:
    """The reason of the reject, None where the answer is kept, and the answer's columns."""

    reason: str | None
    data: dict[str, Any]


async def outcome(engine: Engine, prompt: str, **params: Any) -> Outcome:
    """Ask one prompt, by default for 40 tokens at temperature 0."""
    spec = EngineSpec("teacher", "m")
    settings = {"max_tokens": 40, "temperature": 0.0, "into": "text", **params}
    columns = {"text": "string", "thinking": "string"}
    of = plan([node("ask", "generate", prompt=prompt, **settings)], ("ask",), spec, columns)
    result = await RowProgram(of, {"teacher": engine}).run("key", {"question": "q"})
    reasons = [reject.reason for reject in result.rejects]
    assert len(reasons) + len(result.examples) == 1
    return Outcome(
        reasons[0] if reasons else None, dict(result.examples[0]) if result.examples else {}
    )
