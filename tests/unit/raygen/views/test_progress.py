"""The live table and the plain lines, from snapshots, in consoles of a known width."""

from __future__ import annotations

import io

from rich.console import Console

from raygen.runtime.counts import NodeCount, Snapshot
from raygen.trainer.metrics import Accuracy, TrainerState
from raygen.views.progress import (
    LiveProgress,
    PlainProgress,
    Rates,
    Speedometer,
    make_progress,
    plain_line,
    render_snapshot,
)

SNAPSHOT = Snapshot(
    phase="generating",
    nodes={"rationales": NodeCount(30, 88, 2, 30), "correct": NodeCount(88, 40, 48)},
    source=64,
    kept=20,
    dropped=8,
    failed=1,
    pending=35,
    running=8,
    examples=40,
    prompt_tokens=3210,
    output_tokens=12345,
    seconds=100.0,
    log="out/quickstart/logs/run.log",
)
TRAINER = TrainerState(
    phase="training",
    step=12,
    loss=2.3456,
    tokens_per_second=240.4,
    wait_s=12.6,
    before=Accuracy(12, 48),
)


def console(width: int = 80, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def text_of(target: Console) -> str:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def test_rates_are_those_of_the_last_minute() -> None:
    speed = Speedometer()
    for second in range(101):
        done = second if second <= 50 else 50 + 2 * (second - 50)
        rates = speed.rates(Snapshot(kept=done, pending=300 - done, seconds=float(second)))
    assert rates == Rates(110 / 60, 0.0, (300 - 150) / (110 / 60))


def test_no_estimate_before_the_first_row_is_done() -> None:
    speed = Speedometer()
    assert speed.rates(Snapshot(pending=5)) == Rates()
    assert speed.rates(Snapshot(pending=5, output_tokens=20, seconds=2.0)) == Rates(0.0, 10.0)


def test_rows_of_an_earlier_run_do_not_count_into_the_rate() -> None:
    speed = Speedometer()
    speed.rates(Snapshot(kept=1000, pending=10))
    assert speed.rates(Snapshot(kept=1001, pending=9, seconds=10.0)).eta_s == 90.0


def test_time_spent_on_starting_engines_does_not_slow_the_estimate() -> None:
    speed = Speedometer()
    for second in range(50):
        speed.rates(Snapshot("starting engines", pending=10, seconds=float(second)))
    speed.rates(Snapshot("generating", pending=10, seconds=50.0))
    assert speed.rates(Snapshot("generating", kept=2, pending=8, seconds=60.0)).eta_s == 40.0


def test_the_table_shows_every_figure_within_80_columns() -> None:
    target = console()
    target.print(render_snapshot(SNAPSHOT, Rates(0.5, 118.2, 70.0), TRAINER))
    lines = text_of(target).splitlines()
    assert max(map(len, lines)) <= 80
    shown = "\n".join(line.rstrip() for line in lines)
    for piece in (
        "generating   1 min 40 s   about 1 min 10 s left",
        "29 of 64 rows   20 kept   8 dropped   1 failed   35 pending (8 running)",
        "118 output tokens/s   3,210 tokens in, 12,345 out   40 examples",
        "trainer  training, step 12, loss 2.346, 240 tokens/s, waited 13 s for rows,\n",
        "\n         accuracy before 25.0 %\n",
        "log: out/quickstart/logs/run.log",
    ):
        assert piece in shown
    row = next(line for line in lines if line.startswith("correct"))
    assert row.split() == ["correct", "88", "40", "48", "0"]


def test_a_trainer_that_failed_shows_its_error() -> None:
    line = plain_line(SNAPSHOT, Rates(), TrainerState(phase="failed", error="no such model"))
    assert line.endswith("trainer failed: no such model")


def test_plain_lines_come_at_changes_of_phase_and_every_few_seconds() -> None:
    target = console(width=40)
    with PlainProgress(target) as progress:
        for tenth in range(120):
            seconds = tenth / 10
            phase = "starting engines" if seconds < 1 else "generating"
            progress.update(
                Snapshot(phase=phase, source=9, pending=9, output_tokens=tenth, seconds=seconds,
                         log="logs/run.log"),
                None,
            )  # fmt: skip
        progress.note("a [note]")
    rows = "0/9 rows: 0 kept, 0 dropped, 0 failed, 9 pending"
    assert text_of(target).splitlines() == [
        "log: logs/run.log",
        f"[0 s] starting engines | {rows} | 0 output tokens/s",
        f"[1 s] generating | {rows} | 0 output tokens/s",
        f"[6 s] generating | {rows} | 10 output tokens/s",
        "a [note]",
    ]


def test_a_plain_line_that_says_something_new_is_printed_after_five_seconds() -> None:
    target = console()
    with PlainProgress(target) as progress:
        for second in range(12):
            progress.update(Snapshot("generating", source=20, kept=second, pending=20 - second,
                                     seconds=float(second)), None)  # fmt: skip
    assert [line.split("]")[0] for line in text_of(target).splitlines()] == [
        "[0 s",
        "[5 s",
        "[10 s",
    ]


def test_a_terminal_gets_the_live_table_and_its_notes() -> None:
    target = console(terminal=True)
    progress = make_progress(target)
    assert isinstance(progress, LiveProgress)
    with progress:
        progress.update(SNAPSHOT, TRAINER)
        progress.note("stopping [gently]")
    assert "stopping [gently]" in text_of(target)
    assert "29 of 64 rows" in text_of(target)
    assert isinstance(make_progress(console()), PlainProgress)
