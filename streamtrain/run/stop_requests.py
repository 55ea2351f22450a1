"""How a run is asked to stop after the step in progress: by a signal, and by files in its folder.

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
    """The user stopped the run; a checkpoint is there to go on from."""


def stopping(job: RunSpec, owner: str) -> bool:
    """Whether the run is asked to stop, or to grow.

    Raises StreamtrainError where another run took over.
    """
    if (job.out / OWNER).read_text(encoding="utf-8") != owner:
        raise StreamtrainError(f"another run took over {job.out}")
    return (job.out / STOP).exists() or (job.out / GROW).exists()


@contextlib.contextmanager
def stop_by_signal(stop: Path) -> Iterator[None]:
    """While it lasts, the first SIGINT or SIGTERM asks the run to stop; the second ends it."""

    def ask(number: int, _: Any) -> None:
        if stop.exists():
            raise StoppedError("stopped at once; go on from the last checkpoint with --resume")
        stop.touch()

    try:
        with signals_to(ask):
            yield
    finally:
        stop.unlink(missing_ok=True)
