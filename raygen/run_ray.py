"""Ray Data over a pool of actors that hold engines: the only place in raygen that knows Ray.

Each actor is a Worker; a zero-CPU control actor carries the stop flag, the live counters and how
often each block was begun. Blocks come back as files already written; committing them is the
caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import queue
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raygen.chatter import send_to
from raygen.dataset.tables import Block, DatasetError, RowResult
from raygen.dataset.writer import write_block
from raygen.engines.base import EngineSetupError, EngineSpec
from raygen.engines.registry import start_engine
from raygen.errors import UserError
from raygen.job import Job, Task
from raygen.sources import open_keyed
from raygen.worker import Live, SourceRow, Worker, crashed

_PACKAGES = ("raygen", "streamtrain")
_REPORT_EVERY_S = 1.0  # each call costs the engine's cores a few milliseconds
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Fatal:
    """Why a run can't go on; `user_fault`: the recipe or the profile must change first."""

    message: str
    user_fault: bool = False


@ray.remote(num_cpus=0, max_concurrency=1000)
class _Control:
    """The one place that all actors and the driver see: flags and counters, nothing else."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}
        self._live: dict[str, Live] = {}
        self._fatal: Fatal | None = None
        self._stopped = False

    async def begin(self, what: str) -> int:
        """How often `what` has been begun, this time included."""
        self._begun[what] = self._begun.get(what, 0) + 1
        return self._begun[what]

    async def end(self, what: str) -> None:
        """Forget how often `what` was begun: it has come to its end."""
        self._begun.pop(what, None)

    async def report(self, actor: str, live: Live) -> bool:
        """Take an actor's counters; answer whether it should stop."""
        self._live[actor] = live
        return self._stopped

    async def fail(self, fatal: Fatal) -> None:
        """Stop everything: this run can't go on."""
        self._fatal = self._fatal or fatal
        self._stopped = True

    async def stop(self) -> None:
        """Let no new row start."""
        self._stopped = True

    async def read(self) -> tuple[list[Live], Fatal | None]:
        """All counters, and the fatal error if there is one."""
        return list(self._live.values()), self._fatal


class _RowActor:
    """One process with its engines; Ray Data calls it once per block."""

    def __init__(self, job: Job, control: Any) -> None:
        # Read when the engine's libraries load; Ray has set it to the actor's one CPU.
        os.environ["OMP_NUM_THREADS"] = str(job.threads)
        os.environ.update(job.secrets)
        self._job = job
        self._control = control
        self._name = uuid.uuid4().hex
        log = f"worker-{os.getpid()}.log"
        try:
            send_to(Path(job.logs) / log)
        except OSError:  # the driver's folder needn't be there on another node
            send_to(Path(tempfile.gettempdir()) / "raygen" / log)
        devices = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
        self._devices = dict(_share(job.plan.engines, [str(device) for device in devices]))
        self._worker = Worker(job.plan, self._start, job.concurrency)
        self._one_at_a_time = asyncio.Lock()
        self._source: Any = None
        self._reporter: asyncio.Task[None] | None = None

    async def __call__(self, batch: pa.Table) -> pa.Table:
        """Run one block. Nothing is ever raised: Ray Data would end the run or loop for ever."""
        payload = b""
        try:
            if self._reporter is None:
                self._reporter = asyncio.create_task(self._report())
            block = await self._run(pickle.loads(batch["task"][0].as_py()))  # noqa: S301
            payload = pickle.dumps(block)
        except asyncio.CancelledError:
            pass
        except DatasetError as error:
            await self._control.fail.remote(Fatal(str(error)))
        except Exception as error:  # the control actor carries it to the driver
            message = f"internal error in a worker: {type(error).__name__}: {error}"
            logging.getLogger(__name__).exception(message)
            await self._control.fail.remote(Fatal(message))
        return pa.table({"block": pa.array([payload], pa.binary())})

    async def _run(self, task: Task) -> Block | None:
        if self._source is None:
            if not await asyncio.to_thread(self._job.folder.exists, self._job.probe):
                raise DatasetError(
                    f"a worker on {os.uname().nodename} doesn't see the output folder "
                    f"{self._job.folder.join()}; use a folder that all nodes share, or s3://, gs://"
                )
            self._source = open_keyed(self._job.folder, self._job.source)
        attempts = await self._control.begin.remote(f"block {task.block}")
        rows = await asyncio.to_thread(self._source.read, task.ordinals)
        if attempts <= _ATTEMPTS:
            results = await self._worker.run(rows)
        else:
            results = [result for row in rows for result in await self._alone(row)]
        if self._worker.fatal:
            error = self._worker.fatal
            fatal = Fatal(str(error), isinstance(error, EngineSetupError))
            await self._control.fail.remote(fatal)
        if not results:
            return None
        plan = self._job.plan
        return await asyncio.to_thread(
            write_block, self._job.folder, results, plan.hash, plan.columns
        )

    async def _alone(self, row: SourceRow) -> list[RowResult]:
        """Run a row of a block that was there when the process died, with no other such row.

        A row that is there alone each time it dies is guilty.
        """
        async with self._one_at_a_time:
            what = f"row {row[0]}"
            if await self._control.begin.remote(what) > _ATTEMPTS:
                return [crashed(row)]
            results = await self._worker.run([row])
            await self._control.end.remote(what)
            return results

    async def _start(self, spec: EngineSpec) -> Any:
        return await start_engine(spec, self._devices[spec.name])

    async def _report(self) -> None:
        while True:
            stop = await self._control.report.remote(self._name, self._worker.live)
            self._worker.stopped = self._worker.stopped or stop
            await asyncio.sleep(_REPORT_EVERY_S)


def _share(
    engines: Mapping[str, EngineSpec], devices: Sequence[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give each engine of an actor its own devices, in the order of the recipe."""
    at = 0
    for name, spec in engines.items():
        yield name, tuple(devices[at : at + spec.gpus])
        at += spec.gpus


@contextlib.contextmanager
def cluster(
    address: str | None, cpus: int, logs: Path, trusted: Sequence[Path] = ()
) -> Iterator[str]:
    """Join the Ray cluster at `address`, or start a local one with `cpus` logical CPUs.

    Yields the address that a subprocess joins by. A local cluster ends with the context. Code that
    the nodes may lack travels along: the packages themselves to a cluster, trusted files always.
    """
    logs.mkdir(parents=True, exist_ok=True)
    _quiet(logs / "ray.log")
    modules = [str(path.resolve()) for path in trusted]
    if address:
        modules += [str(Path(__file__).parents[1] / name) for name in _PACKAGES]
    settings: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if modules:
        settings["runtime_env"] = {"py_modules": modules}
    try:
        if address:
            ray.init(address=address, **settings)
        else:
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, **settings)
    except (ConnectionError, ray.exceptions.RayError, RuntimeError, ValueError) as error:
        what = f"the Ray cluster at {address}" if address else "a local Ray cluster"
        raise UserError(f"can't reach or start {what}: {_last_line(error)}", 1) from error
    try:
        yield ray.get_runtime_context().gcs_address
    finally:
        ray.shutdown()


def _quiet(log: Path) -> None:
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    for name in ("ray", "ray.data", "ray.train"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.memory_usage_poll_interval_s = None


class RayRun:
    """One generation in progress: blocks arrive in `poll`, until `done`."""

    def __init__(self, job: Job, tasks: Sequence[Task]) -> None:
        # Beside the driver, so that no worker node takes the run down with it.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._control: Any = _Control.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]
        self._arrived: queue.SimpleQueue[Block] = queue.SimpleQueue()
        self._error: Fatal | None = None
        self._thread = threading.Thread(target=self._consume, args=(job, tasks), daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether no further block will arrive."""
        return not self._thread.is_alive() and self._arrived.empty()

    def poll(self, timeout_s: float) -> list[Block]:
        """The blocks that have arrived; waits up to `timeout_s` for the first."""
        blocks: list[Block] = []
        with contextlib.suppress(queue.Empty):
            blocks.append(self._arrived.get(timeout=timeout_s))
            while True:
                blocks.append(self._arrived.get_nowait())
        return blocks

    def live(self) -> tuple[list[Live], Fatal | None]:
        """The actors' counters, and why the run can't go on, if so."""
        lives, fatal = ray.get(self._control.read.remote())
        return lives, fatal or self._error

    def stop(self) -> None:
        """Let no new row start; what is in flight still arrives."""
        ray.get(self._control.stop.remote())

    def _consume(self, job: Job, tasks: Sequence[Task]) -> None:
        try:
            for batch in _dataset(job, tasks, self._control).iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            ):
                for payload in batch["block"]:
                    block = pickle.loads(payload.as_py()) if payload.as_py() else None  # noqa: S301
                    if block is not None:
                        self._arrived.put(block)
        except (ray.exceptions.RayError, RuntimeError, OSError) as error:
            self._error = Fatal(f"Ray ended the run: {_last_line(error)}")


def _dataset(job: Job, tasks: Sequence[Task], control: Any) -> Any:
    items = [{"task": pickle.dumps(task)} for task in tasks]
    low, high = job.replicas
    high = min(high, len(tasks))
    in_flight = job.blocks_in_flight(len(tasks[0].ordinals))
    pool = ActorPoolStrategy(
        min_size=min(low, high),
        max_size=high,
        initial_size=high,
        max_tasks_in_flight_per_actor=in_flight,
        max_concurrent_calls_per_actor=in_flight,
    )
    return ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        _RowActor,
        fn_constructor_args=(job, control),
        batch_size=None,
        batch_format="pyarrow",
        compute=pool,
        num_cpus=1,
        num_gpus=job.gpus or None,
    )


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
