"""Runs `raygen apply` in a folder of its own and reads from the ledger how fast it was.

What is timed are the commits of the ledger, as the Delta log dates them, so the start of the
cluster and the loading of a model count nowhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from deltalake import DeltaTable


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the ledger: when, in seconds, and its rows."""

    time: float
    rows: list[dict[str, Any]]


def apply(recipe: dict[str, Any], rows: list[dict[str, Any]], folder: Path) -> list[Commit]:
    """Write the recipe and its source into `folder`, run it, and give its ledger's commits."""
    with (folder / "source.jsonl").open("w", encoding="utf-8") as source:
        source.writelines(json.dumps(row) + "\n" for row in rows)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    out = folder / "out"
    command = [Path(sys.executable).with_name("raygen"), "apply", folder / "recipe.yaml"]
    done = subprocess.run(
        [*map(str, command), "--out", str(out), "--yes", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"raygen apply ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return commits(out / "rows")


def commits(ledger: Path) -> list[Commit]:
    """The commits of a ledger that added rows, oldest first."""
    found = []
    for version in range(DeltaTable(ledger).version() + 1):
        log = ledger / "_delta_log" / f"{version:020}.json"
        actions = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        at = next(a["commitInfo"]["timestamp"] for a in actions if "commitInfo" in a) / 1000
        if any("add" in action for action in actions):
            found.append((version, at))
    result: list[Commit] = []
    seen: set[str] = set()
    for version, at in found:
        lines = DeltaTable(ledger, version=version).to_pyarrow_table().to_pylist()
        fresh = [line for line in lines if line["key"] not in seen]
        seen.update(line["key"] for line in fresh)
        result.append(Commit(at, fresh))
    return result


def rows_per_second(done: list[Commit]) -> float:
    """Rows per second from the first commit to the last, without the rows of the first."""
    return sum(len(commit.rows) for commit in done[1:]) / (done[-1].time - done[0].time)


def tokens_per_second(done: list[Commit]) -> float:
    """Output tokens per second, from the start of the first row to the last commit.

    The start is the first commit less the longest row in it: late by the lag of that commit, a
    few tenths of a second.
    """
    start = done[0].time - max(row["seconds"] for row in done[0].rows)
    tokens = sum(row["output_tokens"] for commit in done for row in commit.rows)
    return float(tokens / (done[-1].time - start))
