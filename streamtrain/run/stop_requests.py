"""Requests to stop a run after the step in progress: a signal, or files in its output folder.

Knows nothing of Ray or training.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from raygen.core import signals_to
from streamtrain.errors import StreamtrainError
from streamtrain.run.spec import GROW, OWNER, STOP, RunSpec


class StoppedError(StreamtrainError):
    """The user stopped the run; it can resume from its checkpoint."""


def stopping(job: RunSpec, owner: str) -> bool:
    """Tell whether the run is requested to stop, or to restart with more workers.

    Raises StreamtrainError if another run took over the output folder.
    """
    if (job.out / OWNER).read_text(encoding="utf-8") != owner:
        raise StreamtrainError(f"another run took over {job.out}")
    return (job.out / STOP).exists() or (job.out / GROW).exists()


@contextlib.contextmanager
def stop_by_signal(stop: Path) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a stop request; the second ends the run at once.

    A context manager; `stop` is the file whose presence is the request.
    """

    def ask(number: int, _: Any) -> None:
        if stop.exists():
            raise StoppedError("stopped at once; go on from the last checkpoint with --resume")
        stop.touch()

    try:
        with signals_to(ask):
            yield
    finally:
        stop.unlink(missing_ok=True)
