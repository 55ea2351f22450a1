"""What a run knew of its stream at every step, so that a resumed one repeats its steps exactly.

What a batch is depends on the cursor, and on how many units the stream knew and whether it had
ended when the batch was drawn. The last two are a matter of timing while a dataset grows, so they
are written down before a step is taken. Knows nothing of rows, or of what a step does.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


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
