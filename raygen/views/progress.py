"""Show the progress of a run: a live table in a terminal and lines elsewhere.

It shows the snapshots that it gets. It knows nothing of where they come from, and has no clock:
time is what the snapshots say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from raygen.core import count, duration, percent
from raygen.runtime import NodeCount, Snapshot
from raygen.trainer import TrainerState
from raygen.views.tables import one_line

_WINDOW_S = 60.0
_LINE_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Throughput over the last minute; `eta_s`, in seconds, is None until a row finishes."""

    rows_per_second: float = 0.0
    tokens_per_second: float = 0.0
    eta_s: float | None = None


class Speedometer:
    """Computes rates over a sliding window of a minute within one phase."""

    def __init__(self) -> None:
        self._phase = ""
        self._window: deque[tuple[float, int, int]] = deque()

    def rates(self, now: Snapshot) -> Rates:
        """Add a snapshot and compute the rates; a new phase clears the window."""
        if now.phase != self._phase:
            self._phase = now.phase
            self._window.clear()
        if not self._window or now.seconds - self._window[-1][0] >= 0.5:
            self._window.append((now.seconds, now.done, now.output_tokens))
        while len(self._window) > 2 and now.seconds - self._window[1][0] >= _WINDOW_S:
            self._window.popleft()
        then, done, tokens = self._window[0]
        elapsed = now.seconds - then
        if elapsed <= 0:
            return Rates()
        rows = (now.done - done) / elapsed
        return Rates(
            rows, (now.output_tokens - tokens) / elapsed, now.pending / rows if rows > 0 else None
        )


class ProgressDisplay(Protocol):
    """Shows a run's progress, as a context manager around the run."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def update(self, snapshot: Snapshot, trainer: TrainerState | None) -> None:
        """Show a snapshot; cheap enough for several calls a second."""
        ...

    def note(self, message: str) -> None:
        """Print a line that stays."""
        ...


def make_progress(console: Console) -> ProgressDisplay:
    """Make a live table for a terminal, plain lines for anything else."""
    return LiveProgress(console) if console.is_terminal else PlainProgress(console)


class LiveProgress:
    """A table that is redrawn in place, and removed at the end, when the summary replaces it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._speed = Speedometer()
        # Not redirected, so that the output of libraries can go to a log file meanwhile.
        self._live = Live(
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._spinner = Spinner("line")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def update(self, snapshot: Snapshot, trainer: TrainerState | None) -> None:
        """Redraw the table."""
        view = render_snapshot(snapshot, self._speed.rates(snapshot), trainer)
        frame = Table.grid(padding=(0, 1, 0, 0))
        frame.add_row(self._spinner, view)  # moves even while a long start has no news
        self._live.update(frame)

    def note(self, message: str) -> None:
        """Print a line above the table."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)


class PlainProgress:
    """A line every few seconds and at each change of phase."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._speed = Speedometer()
        self._phases: tuple[str, str | None, str | None] | None = None
        self._log = ""
        self._printed_at = 0.0
        self._line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    def update(self, snapshot: Snapshot, trainer: TrainerState | None) -> None:
        """Print a line if the phase changed, or a few seconds have passed."""
        if snapshot.log != self._log:
            self._log = snapshot.log
            self.note(f"log: {snapshot.log}")
        rates = self._speed.rates(snapshot)
        phases = (snapshot.phase, *((trainer.phase, trainer.error) if trainer else (None, None)))
        if phases == self._phases and snapshot.seconds - self._printed_at < _LINE_EVERY_S:
            return
        line = plain_line(snapshot, rates, trainer)
        if line != self._line:
            self.note(f"[{duration(snapshot.seconds)}] {line}")
        self._phases, self._printed_at, self._line = phases, snapshot.seconds, line

    def note(self, message: str) -> None:
        """Print a line."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)


def plain_line(snapshot: Snapshot, rates: Rates, trainer: TrainerState | None) -> str:
    """Format a snapshot as one line without colours."""
    parts = [snapshot.phase]
    if snapshot.source:
        parts.append(f"{count(snapshot.done)}/{count(snapshot.source)} rows: " + _fates(snapshot))
        parts.append(f"{rates.tokens_per_second:.0f} output tokens/s")
    if rates.eta_s is not None and snapshot.pending:
        parts.append(f"about {duration(rates.eta_s)} left")
    if trainer:
        parts.append("trainer " + _trainer_words(trainer))
    return " | ".join(parts)


def render_snapshot(
    snapshot: Snapshot, rates: Rates, trainer: TrainerState | None
) -> RenderableType:
    """Render a snapshot as a table of at most 80 columns."""
    parts: list[RenderableType] = [_head(snapshot, rates)]
    if snapshot.source:
        bar = Table.grid()  # a bar by itself ends no line
        bar.add_row(ProgressBar(total=snapshot.source, completed=snapshot.done, width=72))
        parts.append(bar)
        parts.append(_fates_text(snapshot))
    if snapshot.nodes:
        parts.append(_node_table(snapshot.nodes))
        parts.append(
            Text(
                f"{rates.tokens_per_second:.0f} output tokens/s   "
                f"{count(snapshot.prompt_tokens)} tokens in, {count(snapshot.output_tokens)} out   "
                f"{count(snapshot.examples)} examples"
                + (f"   {count(snapshot.reused)} calls reused" if snapshot.reused else "")
            )
        )
    if trainer:
        words = Table.grid(padding=(0, 2, 0, 0))
        style = "bold red" if trainer.error else "cyan"
        words.add_row(Text("trainer", style=style), one_line(_trainer_words(trainer)))
        parts.append(words)
    if snapshot.log:
        parts.append(one_line(Text(f"log: {snapshot.log}", style="dim", overflow="fold")))
    return Group(*parts)


def _head(snapshot: Snapshot, rates: Rates) -> Text:
    head = Text.assemble((snapshot.phase, "bold"), f"   {duration(snapshot.seconds)}")
    if rates.eta_s is not None and snapshot.pending:
        head.append(f"   about {duration(rates.eta_s)} left")
    return head


def _fates(snapshot: Snapshot) -> str:
    return (
        f"{count(snapshot.kept)} kept, {count(snapshot.dropped)} dropped, "
        f"{count(snapshot.failed)} failed, {count(snapshot.pending)} pending"
    )


def _fates_text(snapshot: Snapshot) -> Text:
    return Text.assemble(
        f"{count(snapshot.done)} of {count(snapshot.source)} rows   ",
        (f"{count(snapshot.kept)} kept", "green"),
        "   ",
        (f"{count(snapshot.dropped)} dropped", "yellow" if snapshot.dropped else ""),
        "   ",
        (f"{count(snapshot.failed)} failed", "red" if snapshot.failed else ""),
        f"   {count(snapshot.pending)} pending ({count(snapshot.running)} running)",
    )


def _node_table(nodes: Mapping[str, NodeCount]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("node", overflow="ellipsis", no_wrap=True, max_width=32)
    for name in ("rows in", "kept", "dropped", "calls"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, node in nodes.items():
        figures = (node.rows_in, node.kept, node.dropped, node.calls)
        table.add_row(one_line(name), *map(count, figures))
    return table


def _trainer_words(state: TrainerState) -> str:
    if state.error:
        return f"{state.phase}: {state.error}"
    parts = [state.phase]
    if state.step:
        parts.append(f"step {count(state.step)}")
    if state.loss is not None:
        parts.append(f"loss {state.loss:.3f}")
    if state.tokens_per_second is not None:
        parts.append(f"{state.tokens_per_second:.0f} tokens/s")
    if state.wait_s >= 1:
        parts.append(f"waited {duration(state.wait_s)} for rows")
    for name, accuracy in (("before", state.before), ("after", state.after)):
        if accuracy:
            parts.append(f"accuracy {name} {percent(accuracy.share)}")
    return ", ".join(parts)
