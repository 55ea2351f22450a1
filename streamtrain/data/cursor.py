"""Where a run stands in its stream, and what it knew of the stream at every step.

What a batch is depends on the cursor, and on how many units the stream knew and whether it had
ended when the batch was drawn. The last two are a matter of timing while a dataset grows, so they
are written down before a step is taken, and a resumed run repeats its steps exactly. Knows nothing
of rows, of how their order is made, or of what a step does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a run stands in its stream: a chunk of new rows and a pass of replayed ones.

    What is counted here are units. A chunk or pass covers `*_size` rows, of which `*_taken` are
    used; chunks lie end to end from row `chunk_start`, and a pass covers the first `pass_size`
    rows. `plan` is the dataset's plan.
    """

    chunk: int = -1
    chunk_start: int = 0
    chunk_size: int = 0
    chunk_taken: int = 0
    replay_pass: int = -1
    pass_size: int = 0
    pass_taken: int = 0
    replayed: int = 0
    plan: str | None = None

    @property
    def fresh(self) -> int:
        """New rows used so far."""
        return self.chunk_start + self.chunk_taken

    @property
    def used(self) -> int:
        """Rows used so far, replayed ones included."""
        return self.fresh + self.replayed

    @property
    def known(self) -> int:
        """How many units were there, at least, when it came to stand where it does."""
        return max(self.chunk_start + self.chunk_size, self.pass_size)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cursor:
        """The cursor that `to_json` wrote. Raises TypeError on other keys."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Decision:
    """Step number `step`, counted from 1, was taken when `known` units were there; `ended` says
    that the stream was known to have ended."""

    step: int
    known: int
    ended: bool


class Decisions:
    """The decisions of a run in a file, one line each. Close it in the end."""

    def __init__(self, path: Path, resume: bool) -> None:
        """Reads what is there; without `resume` the file begins anew. A line that a kill left
        unfinished doesn't count."""
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.read_bytes().rpartition(b"\n")[0] if resume and path.exists() else b""
        found = [Decision(**json.loads(line)) for line in whole.splitlines()]
        self._of = {decision.step: decision for decision in found}
        draft = path.with_name(f".{path.name}.tmp")
        draft.write_bytes(whole + b"\n" if whole else b"")
        draft.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def of(self, step: int) -> Decision | None:
        """What was recorded of a step, None where it was never taken."""
        return self._of.get(step)

    def record(self, decision: Decision) -> None:
        """Write down a decision before it is acted on; one that is there stays."""
        if decision.step not in self._of:
            self._of[decision.step] = decision
            self._file.write(json.dumps(asdict(decision)) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
