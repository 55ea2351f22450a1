"""Ray Data over a pool of actors that hold engines: the only Ray here but for joining it.

Each actor is a Worker. What Ray Data hands it are tickets; for each it takes a block of rows from
the control actor, so that a run can be given more rows while its engines are up. The control actor
needs no CPU and carries the stop flag and the live counters too. Blocks come back as files already
written; committing them is the caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import queue
import threading
import uuid
from collections.abc import Awaitable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

# Without it a thread that still asks Ray when the driver has left it would start another Ray.
os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
import ray
import ray.data
import ray.util.metrics
from ray.data import ActorPoolStrategy, DataContext
from ray.data._internal.execution.streaming_executor import StreamingExecutor
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raygen.core import (
    hide_secrets_in_logs,
    joined_cluster,
    last_line,
    private_folder,
    redirect_output,
    use_callers_umask,
)
from raygen.dataset import BatchLog, WrittenBlock
from raygen.engines import EngineSpec, start_engine
from raygen.planning import Cluster
from raygen.runtime.block_runner import BlockRunner
from raygen.runtime.coordinator import Coordinator, Fatal
from raygen.runtime.tasks import GenerationJob, RowBlock
from raygen.runtime.worker import Worker
from raygen.runtime.worker_stats import Counters, WorkerStats

_SPARE_TICKETS = 64
_END_WITHIN_S = 5.0
_REPORT_EVERY_S = 1.0  # each call costs the engine's cores a few milliseconds
_ENDS = (ray.exceptions.RayError, RuntimeError, OSError, ValueError, AttributeError)
"""Exceptions of `iter_batches` on teardown; AttributeError when Ray is shut down under it."""


_Control = ray.remote(num_cpus=0, max_concurrency=1000)(Coordinator)


class _RemoteControl:
    """The coordinator behind its actor's handle."""

    def __init__(self, control: Any) -> None:
        self._control = control

    def take(self, ticket: int, wait: bool) -> Awaitable[tuple[RowBlock | None, int]]:
        return cast(
            "Awaitable[tuple[RowBlock | None, int]]", self._control.take.remote(ticket, wait)
        )

    def give_back(self, ticket: int) -> Awaitable[None]:
        return cast("Awaitable[None]", self._control.give_back.remote(ticket))

    def begin(self, what: str) -> Awaitable[int]:
        return cast("Awaitable[int]", self._control.begin.remote(what))

    def end(self, what: str) -> Awaitable[None]:
        return cast("Awaitable[None]", self._control.end.remote(what))

    def fail(self, fatal: Fatal) -> Awaitable[None]:
        return cast("Awaitable[None]", self._control.fail.remote(fatal))


class _RowActor:
    """One process with its engines; Ray Data calls it once per ticket."""

    def __init__(self, job: GenerationJob, control: Any) -> None:
        # Read when the engine's libraries load; Ray has set it to the actor's one CPU.
        os.environ["OMP_NUM_THREADS"] = str(job.threads)
        # Python puts the current folder before the libraries in processes that an engine starts.
        os.environ["PYTHONSAFEPATH"] = "1"
        os.environ.update(job.secrets)
        hide_secrets_in_logs()
        self._job = job
        self._control = control
        self._name = uuid.uuid4().hex
        use_callers_umask()
        log = f"worker-{os.getpid()}.log"
        try:
            redirect_output(Path(job.logs) / log)
        except OSError:  # the driver's folder needn't be there on another node
            redirect_output(private_folder() / log)
        devices = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
        self._devices = dict(job.shared([str(device) for device in devices]))
        self._worker = Worker(job.plan, self._start, job.concurrency)
        self._blocks = BlockRunner(job, self._worker, _RemoteControl(control))
        self._reporter: asyncio.Task[None] | None = None
        self._counters = Counters(ray.util.metrics.Counter, job.plan.recipe)

    async def __call__(self, batch: pa.Table) -> pa.Table:
        """Run the block of a ticket; raises nothing."""
        if self._reporter is None:
            self._reporter = asyncio.create_task(self._report())
        payload = await self._blocks.run(batch["ticket"][0].as_py())
        return pa.table({"block": pa.array([payload], pa.binary())})

    async def _start(self, spec: EngineSpec) -> Any:
        record = BatchLog(self._job.folder)
        return await start_engine(spec, self._devices[spec.name], record)

    async def _report(self) -> None:
        while True:
            self._counters.update(self._worker.stats)
            stop = await self._control.report.remote(self._name, self._worker.stats)
            self._worker.stopped = self._worker.stopped or stop
            await asyncio.sleep(_REPORT_EVERY_S)


@contextlib.contextmanager
def cluster(
    address: str | None, cpus: int, logs: Path, trusted: Sequence[Path] = ()
) -> Iterator[Cluster]:
    """Join the Ray cluster at `address`, or start a local one with `cpus` logical CPUs.

    A local cluster ends with the context. Trusted files travel to the nodes, which lack them.
    Raises UserError where there is no cluster to be had.
    """
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.memory_usage_poll_interval_s = None
    modules = [str(path.resolve()) for path in trusted]
    with joined_cluster(
        address, cpus, logs / "ray.log", loggers=("ray", "ray.data", "ray.train"), modules=modules
    ) as joined:
        try:
            yield _describe(joined)
        finally:
            _end_executions()


def _end_executions() -> None:
    """Stop what still runs, as after a second Ctrl-C.

    A thread that calls Ray after `ray.shutdown` ends the whole process, without a message and with
    exit code 1.
    """
    for kind in (StreamingExecutor, _BlockReader):
        for thread in threading.enumerate():
            if isinstance(thread, StreamingExecutor):
                thread.shutdown(force=True)
            if isinstance(thread, kind):
                thread.join(_END_WITHIN_S)


def _describe(joined: Any) -> Cluster:
    """Describe the cluster that `ray.init` joined."""
    # The only way to learn what an autoscaled cluster may grow to; None where it can't grow.
    most = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    gpus = max(ray.cluster_resources().get("GPU", 0), most.get("GPU", 0))
    url = joined.dashboard_url
    return Cluster(
        address=ray.get_runtime_context().gcs_address,
        gpus=int(gpus),
        dashboard=f"http://{url}" if url else None,
        metrics=f"http://{url}/api/prometheus/sd" if url else None,
    )


class _BlockReader(threading.Thread):
    """The thread in which a run waits for its blocks."""


class RayRun:
    """One generation in progress: tasks are fed, and blocks arrive in `poll`, until `done`.

    It takes as many tasks as it has tickets, and ends when it is closed and has run them all."""

    def __init__(self, job: GenerationJob, tickets: int) -> None:
        # Beside the driver, so that no worker node takes the run down with it.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._control: Any = _Control.options(scheduling_strategy=here).remote()
        self._arrived: queue.SimpleQueue[WrittenBlock] = queue.SimpleQueue()
        self._error: Fatal | None = None
        self._tickets = tickets + _SPARE_TICKETS
        self._fed = self._ended = 0
        self._last: int | None = None
        self._thread = _BlockReader(target=self._consume, args=(job,), daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether no further block will arrive."""
        return not self._thread.is_alive() and self._arrived.empty()

    @property
    def idle(self) -> bool:
        """Whether every task that was fed has ended, and its block was polled."""
        return self._ended == self._fed and self._arrived.empty()

    @property
    def capacity(self) -> int:
        """How many more tasks it takes."""
        return self._tickets - self._fed

    def feed(self, tasks: Sequence[RowBlock], *, first: bool = False) -> None:
        """Queue more tasks, at most `capacity`."""
        self._fed += len(tasks)
        self._ask(self._control.feed.remote(tasks, first))

    def close(self) -> None:
        """Announce that nothing more will be fed."""
        self._ask(self._control.close.remote())

    def poll(self, timeout_s: float) -> list[WrittenBlock]:
        """Collect the blocks that have arrived; wait up to `timeout_s` seconds for the first."""
        blocks = list[WrittenBlock]()
        with contextlib.suppress(queue.Empty):
            blocks.append(self._arrived.get(timeout=timeout_s))
            while True:
                blocks.append(self._arrived.get_nowait())
        return blocks

    def stats(self) -> tuple[list[WorkerStats], Fatal | None]:
        """Read the actors' counters, and why the run can't go on, if it can't."""
        stats, fatal = self._ask(self._control.read.remote()) or ([], None)
        return stats, fatal or self._error

    def stop(self) -> None:
        """Let no new row start; what is in flight still arrives."""
        self._last = self._ask(self._control.stop.remote())

    def _ask(self, answer: Any) -> Any:
        """Wait for the control actor's answer; None where it is dead, which ends the run."""
        try:
            return ray.get(answer)
        except ray.exceptions.RayActorError:
            self._error = Fatal("the process that hands out rows died; run the same command again")

    def _consume(self, job: GenerationJob) -> None:
        try:
            for batch in _dataset(job, self._tickets, self._control).iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            ):
                for payload in filter(None, batch["block"].to_pylist()):
                    block = pickle.loads(payload)  # noqa: S301
                    if block is not None:
                        self._arrived.put(block)
                    self._ended += 1
                # After a stop the other tickets, maybe many thousands, are for nothing.
                if self._last is not None and self._ended >= self._last:
                    return
        except _ENDS as error:
            self._error = Fatal(f"Ray ended the run: {last_line(error)}")


def start_run(job: GenerationJob, tickets: int) -> RayRun:
    """Begin a run on the cluster that was joined; it takes about so many tasks."""
    return RayRun(job, tickets)


def _dataset(job: GenerationJob, tickets: int, control: Any) -> Any:
    items = [{"ticket": ticket} for ticket in range(tickets)]
    low, high = job.replicas
    pool = ActorPoolStrategy(
        min_size=low,
        max_size=high,
        initial_size=high,
        max_tasks_in_flight_per_actor=job.blocks_in_flight,
        # A ticket whose answer was lost must not wait behind those that wait for more tasks.
        max_concurrent_calls_per_actor=2 * job.blocks_in_flight,
    )
    return ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        _RowActor,
        fn_constructor_args=(job, control),
        batch_size=1,  # a ticket; where there are GPUs Ray Data demands a size
        batch_format="pyarrow",
        compute=pool,
        num_cpus=1,
        num_gpus=job.gpus or None,
    )
