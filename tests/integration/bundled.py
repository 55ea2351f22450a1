"""One op on one row over a real engine, for the tests of ops on the bundled model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from raygen.core.row import Reject, Row
from raygen.core.task import TASKS, Task
from raygen.dataset.call_cache import RecordedCalls
from raygen.dataset.records import Call
from raygen.engines.base import Engine, EngineSpec
from raygen.engines.registry import start_engine
from raygen.ops.base import Op
from raygen.planning.plan import Node, Plan
from raygen.planning.row_context import RowContext

T = TypeVar("T")


class RealEngine:
    """An engine in an event loop of its own, which outlives the tests' loops."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.calls: list[Call] = []
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._engine: Engine = self._await(start_engine(spec))

    def run(
        self,
        op: Op,
        data: Mapping[str, Any] | Sequence[Row],
        task: Task = TASKS["multiple_choice"],
        **params: Any,
    ) -> list[Row | Reject]:
        """The op's outcomes; the calls that it made are in `calls`."""
        rows = [Row("key", data)] if isinstance(data, Mapping) else list(data)
        parsed = op.params.model_validate(params)
        node = Node("node", op, parsed, ("source",), "teacher" if op.needs_engine else None)
        plan = Plan("test", task, (node,), ("node",), {"teacher": self.spec}, {}, "plan", 0.0)
        self.calls = []
        engines = {"teacher": self._engine}
        context = RowContext(plan, engines, node, rows[0], self.calls.append, RecordedCalls({}))
        run: Any = op.run
        return list(self._await(run(rows if op.group else rows[0], parsed, context)))

    def close(self) -> None:
        """Stop the engine and its loop."""
        self._await(self._engine.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=280)
