"""A run on Ray Train: join or start a cluster, run the loop on every worker, watch it.

The only Ray in this package. A run name is never used twice, because Ray would silently continue
it; resuming is up to the run's own checkpoints. Knows nothing of how training works.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
import ray.train
import ray.train.torch

from raygen.core import UserError, hide_secrets_in_logs, joined_cluster, use_callers_umask
from raygen.engines.models import ANONYMOUS
from streamtrain.errors import InputError, StreamtrainError
from streamtrain.run import (
    CHECKPOINTS,
    GROW,
    METRICS,
    OWNER,
    RAY,
    STOP,
    EventTail,
    RunSpec,
    StoppedError,
    append_event,
    read_result,
    stop_by_signal,
    stopping,
)
from streamtrain.training import durable
from streamtrain.training.checkpoint import latest
from streamtrain.training.elastic import GrowthRequester, WorkerGrowth

_WATCH_S = 0.2
_GIVEN_BACK_S = 30.0
"""Seconds that the GPUs of ended workers may take to be free again."""

_TRIES = 3
"""Deaths of workers in a row, without a new checkpoint in between, that end a run."""

_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""Threads that spin while they wait steal cores from an engine on the same machine: on 2 shared
cores a step took ten times as long with spinning."""


def run_training(
    job: RunSpec, address: str | None, show: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Run a job to its end and return its result; `show` is called with every event.

    `address` is a Ray cluster to join; None starts a local one. SIGINT and SIGTERM end the run
    after the step in progress, with a checkpoint. Raises StoppedError then, InputError for what the
    user can fix, StreamtrainError for anything else that ended it.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    owner = uuid.uuid4().hex[:12]
    # First of all, and whole or not at all: by it the folder is known as a run's.
    durable.write_text(job.out / OWNER, owner)
    for name in (STOP, GROW):
        (job.out / name).unlink(missing_ok=True)
    if not job.resume:
        (job.out / METRICS).unlink(missing_ok=True)
    events = EventTail(job.out / METRICS)
    # Ray takes the signals for itself when it starts, so they are taken back after that.
    with _cluster(job, address), stop_by_signal(job.out / STOP):
        failure = _fit(job, owner, events, show)
    errors = [event for event in events.history if event["event"] == "error"]
    if failure is not None:
        raise _error(job, failure, errors) from failure
    if events.history and events.history[-1].get("reason") == "stopped":
        step = events.history[-1]["step"]
        raise StoppedError(f"stopped at step {step}; go on with --resume ({job.out})")
    return read_result(job.out)


def _fit(
    job: RunSpec, owner: str, events: EventTail, show: Callable[[dict[str, Any]], None]
) -> BaseException | None:
    """Run Ray Train in a thread, since signals go to the main one; returns what ended it, or
    None."""
    failures: list[BaseException] = []
    growth = WorkerGrowth(_most_workers(job))
    grower = GrowthRequester(job, growth, _free_gpus)

    def fit() -> None:
        try:
            _until_done(job, owner, growth)
        except BaseException as error:  # noqa: BLE001 - it would be lost with its thread
            failures.append(error)

    thread = threading.Thread(target=fit, name="ray-train", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_WATCH_S)
        for event in events.read():
            growth.see(event)
            show(event)
        grower.look()
    return failures[0] if failures else None


def _error(
    job: RunSpec, failure: BaseException, errors: Sequence[dict[str, Any]]
) -> StreamtrainError:
    """Choose the error that ends a failed run: the one that a worker recorded as an event, or the
    failure itself, which is then recorded."""
    if errors and isinstance(failure, ray.train.TrainingFailedError):
        kind = InputError if errors[-1].get("user") else StreamtrainError
        return kind(errors[-1]["message"])
    error = (
        failure if isinstance(failure, StreamtrainError) else StreamtrainError(_message(failure))
    )
    user = isinstance(error, InputError)
    append_event(job.out / METRICS, "error", message=str(error), user=user)
    return error


def _until_done(job: RunSpec, owner: str, growth: WorkerGrowth) -> None:
    """Run Ray Train; if a worker dies, restart all of them from the last checkpoint.

    It restarts too if the run is requested to grow, always on the kind of device that it began on:
    if GPUs were lost, it waits for others. Raises TrainingFailedError for anything else that ends a
    run, and if workers die repeatedly without progress; InputError for more workers than GPUs.
    """
    attempt, in_vain = 0, 0
    use_gpu = on_gpus(job.config.workers, _gpus())
    while True:
        saved = latest(job.out / CHECKPOINTS)
        try:
            growth.begin(job.config.workers, time.time())
            reason = _trainer(job, owner, attempt, use_gpu).fit().return_value
            if reason != "stopped" or (job.out / STOP).exists():
                return
            job = _grown(job)
        except ray.train.TrainingFailedError as error:
            reached = latest(job.out / CHECKPOINTS)
            in_vain = 0 if reached != saved else in_vain + 1
            dead = _dead(error)
            if not dead or in_vain == _TRIES:
                raise
            _record_restart(job, dead, reached is not None, use_gpu)
        attempt += 1
        job = replace(job, resume=True)


def _grown(job: RunSpec) -> RunSpec:
    """Return the job with the requested number of workers, or as many as have a GPU by now."""
    requested = int((job.out / GROW).read_text(encoding="utf-8"))
    (job.out / GROW).unlink()
    until = time.monotonic() + _GIVEN_BACK_S
    while _free_gpus() < requested and time.monotonic() < until:
        time.sleep(_WATCH_S)
    workers = max(job.config.workers, min(requested, _free_gpus()))
    append_event(job.out / METRICS, "grow", workers=workers)
    return replace(job, config=job.config.model_copy(update={"workers": workers}))


def _record_restart(job: RunSpec, dead: Sequence[int], checkpoint: bool, use_gpu: bool) -> None:
    """Record a restart, with the number of GPUs that must come back before it can begin."""
    missing = max(0, job.config.workers - int(_gpus())) if use_gpu else 0
    append_event(
        job.out / METRICS, "restart", workers=dead, checkpoint=checkpoint, missing_gpus=missing
    )


def _trainer(job: RunSpec, owner: str, attempt: int, use_gpu: bool) -> ray.train.torch.TorchTrainer:
    return ray.train.torch.TorchTrainer(
        _work,
        train_loop_config={"job": job, "owner": owner},
        scaling_config=ray.train.ScalingConfig(num_workers=job.config.workers, use_gpu=use_gpu),
        run_config=ray.train.RunConfig(
            name=f"{job.config.student}-{owner}-{attempt}",
            storage_path=str(job.out / RAY),
            worker_runtime_env={"env_vars": worker_environment()},
            # Ray's own restart would run the same job again, which doesn't know that it resumes.
            failure_config=ray.train.FailureConfig(max_failures=0, max_preemption_failures=0),
        ),
    )


def worker_environment() -> dict[str, str]:
    """Choose the variables of a worker, which may run on another machine of a cluster.

    Where this process asks the hub as anybody could, since a stranger names the student's model, no
    worker asks with the token of its machine.
    """
    anonymous = all(os.environ.get(name) == value for name, value in ANONYMOUS.items())
    return {**_ENVIRONMENT, **(ANONYMOUS if anonymous else {})}


def _dead(error: ray.train.TrainingFailedError) -> list[int]:
    """List the ranks whose processes or nodes were lost, rather than raised an error."""
    if isinstance(error, ray.train.PreemptionError):
        return list(error.preemption_info.preempted_ranks)
    failures = getattr(error, "worker_failures", {})
    # A process that is gone fails the check of its health.
    causes = {rank: getattr(f, "health_check_failure", f) for rank, f in failures.items()}
    return sorted(r for r, c in causes.items() if isinstance(c, ray.exceptions.RayActorError))


def _work(config: dict[str, Any]) -> str:
    """Run the loop on one worker; returns why it ended."""
    import torch

    from streamtrain.data import DatasetFeed
    from streamtrain.training.communicator import ProcessGroup, SingleProcess
    from streamtrain.training.loop import train

    use_callers_umask()
    hide_secrets_in_logs()
    job: RunSpec = config["job"]
    context = ray.train.get_context()
    device = ray.train.torch.get_device()
    # Ray gives a worker as many threads as it has logical CPUs, which is one.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // context.get_local_world_size()))
    communicator = SingleProcess() if context.get_world_size() == 1 else ProcessGroup(device)
    try:
        return train(
            job,
            communicator,
            lambda: DatasetFeed(job.data, job.follow),
            lambda: stopping(job, config["owner"]),
            device,
            _RayValidator(job) if job.select is not None else None,
        )
    except StreamtrainError as error:
        user = isinstance(error, InputError)
        append_event(job.out / METRICS, "error", message=str(error), user=user)
        raise


class _RayValidator:
    """Evaluates in tasks of the cluster: on a free GPU, or else on a CPU.

    A CPU is not reserved, so that no task waits for one that never comes. Tasks of our own, because
    Ray Train's validation turns a failure into empty figures and fixes its GPU beforehand.
    """

    def __init__(self, job: RunSpec) -> None:
        self._job = job
        self._running: dict[Any, int] = {}

    def start(self, step: int, weights: Path) -> None:
        gpus = int(ray.available_resources().get("GPU", 0) >= 1)
        task = ray.remote(num_cpus=0, num_gpus=gpus, max_retries=3)(_validate)
        self._running[task.remote(self._job, weights)] = step

    def finished(self, wait: bool) -> dict[int, Any]:
        if not self._running:
            return {}
        waiting = list(self._running)
        done, _ = ray.wait(
            waiting, num_returns=len(waiting), timeout=None if wait else 0, fetch_local=False
        )
        figures = {}
        for task in done:
            step = self._running.pop(task)
            try:
                figures[step] = ray.get(task)
            except ray.exceptions.RayError as error:
                raise StreamtrainError(
                    f"the select set could not be asked after step {step}: {_message(error)}"
                ) from error
        return figures


def _validate(job: RunSpec, weights: Path) -> dict[str, Any]:
    import torch

    from streamtrain.training.validation import validate_weights

    use_callers_umask()
    device = torch.device("cuda" if ray.get_gpu_ids() else "cpu")
    return validate_weights(job, weights, device)


def _gpus() -> float:
    """Count the GPUs that the cluster has or can scale to; Ray Train waits for those in use."""
    scalable_to = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    return float(max(ray.cluster_resources().get("GPU", 0), scalable_to.get("GPU", 0)))


def on_gpus(workers: int, gpus: float) -> bool:
    """Tell whether workers train on GPUs, one each: if the cluster has any.

    Raises InputError if it has some, but fewer than workers.
    """
    if 0 < gpus < workers:
        raise InputError(
            f"workers is {workers}, and the cluster has {gpus:.0f} GPUs; each worker needs one: "
            f"set workers: {int(gpus)} or less, or hide this machine's GPUs with "
            "CUDA_VISIBLE_DEVICES= to train on its CPUs"
        )
    return gpus >= workers


def _free_gpus() -> int:
    return int(ray.available_resources().get("GPU", 0))


def _most_workers(job: RunSpec) -> int:
    """Compute how many workers the run may grow to; each needs a part of every batch."""
    parts = job.config.optim.batch // (2 if job.config.data.pairs else 1)
    return min(job.most, parts) if job.follow and _gpus() >= job.config.workers else 0


@contextlib.contextmanager
def _cluster(job: RunSpec, address: str | None) -> Iterator[None]:
    """Join the cluster at `address`, or start a local one just large enough. Raises InputError."""
    log = job.out / RAY / "ray.log"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(
                joined_cluster(address, job.config.workers, log, loggers=("ray", "ray.train"))
            )
        except UserError as error:
            raise InputError(str(error)) from error
        yield


def _message(error: BaseException) -> str:
    """Format an exception without its traceback; Ray's own end with the line that matters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, ray.train.TrainingFailedError | ray.exceptions.RayError):
        return f"training failed: {lines[-1] if lines else type(error).__name__}"
    return f"training failed: {': '.join([type(error).__name__, *lines[:1]])}"
