"""The position of a run in its stream, and what it knew of the stream at every step.

The content of a batch depends on the cursor, on how many units were known, and on whether the end
was known, when the batch was drawn. The last two are a matter of timing while a dataset grows, so
they are logged before a step is taken, and a resumed run repeats its steps exactly. Knows nothing
of rows, of their order, or of what a step does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from raygen.core import parse_json_object


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position of a run in its stream: in a chunk of fresh units, and in a pass of replayed
    ones.

    Everything counts units. A chunk or pass has `*_size` units, `*_taken` of them used. Chunks lie
    end to end, the present one from unit `chunk_start`; a pass covers the first `pass_size` units.
    `plan` is the hash of the dataset's plan.
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
        """Fresh units used so far."""
        return self.chunk_start + self.chunk_taken

    @property
    def used(self) -> int:
        """Units used so far, replayed ones included."""
        return self.fresh + self.replayed

    @property
    def known(self) -> int:
        """How many units the stream had, at least, when the cursor came to this position."""
        return max(self.chunk_start + self.chunk_size, self.pass_size)

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cursor:
        """Restore the cursor that `to_json` wrote. Raises TypeError on other keys."""
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Decision:
    """Step number `step`, counted from 1, was drawn when `known` units were there; `ended` if the
    stream was known to have ended."""

    step: int
    known: int
    ended: bool


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    step: int
    known: int
    ended: bool


class Decisions:
    """The log of decisions of a run, one JSON line each. Close it."""

    def __init__(self, path: Path, resume: bool) -> None:
        """Read the log; without `resume` it starts empty. A line that a kill left unfinished is
        dropped. Raises UserError for a line that is no decision."""
        path.parent.mkdir(parents=True, exist_ok=True)
        complete = path.read_bytes().rpartition(b"\n")[0] if resume and path.exists() else b""
        self._of = {decision.step: decision for decision in _parsed(complete, path)}
        draft = path.with_name(f".{path.name}.tmp")
        draft.write_bytes(complete + b"\n" if complete else b"")
        draft.replace(path)
        self._file = path.open("a", encoding="utf-8")

    def of(self, step: int) -> Decision | None:
        """Look up the decision of a step; None if it was never taken."""
        return self._of.get(step)

    def record(self, decision: Decision) -> None:
        """Log a decision before it is acted on; an earlier one of the same step stays."""
        if decision.step not in self._of:
            self._of[decision.step] = decision
            self._file.write(json.dumps(asdict(decision)) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _parsed(content: bytes, path: Path) -> Iterator[Decision]:
    expected = "a decision of the run, as `streamtrain fit` logs it; start a new run"
    for number, line in enumerate(content.splitlines(), 1):
        yield Decision(**parse_json_object(line, f"{path}:{number}", expected, _Line))
