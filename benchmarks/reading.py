"""What the reader of answers makes of recorded transcripts: read, read as the log has it, speed.

    python benchmarks/reading.py DATA [--only palm] [--json counts.json]

For each file: the share of texts from which an answer is read, and the share of those with a
recorded answer (`predicted`) that are read as another one, with Wilson's 95 % intervals; the same
for readings surer than 0.5; and answers read per second of CPU time on one core. `run on` takes
PaLM's whole continuation, in which it goes on with questions of its own. Nothing of the reader
decides what counts as wrong, so two versions of it can be compared.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import process_time
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.parsers import CHOICE_FILES, FREE_FILES, rows_of, transcript
from raygen.core.answers import read_answer, read_free_answer
from raygen.core.stats import wilson

RUN_ON = ("palm_csqa_train", "palm_csqa_dev", "palm_anli1_valid", "palm_esnli_valid3000")
SURE = 0.5


def free_key(text: str) -> str:
    """Make a plain key of a free answer: its calculation's right side, or its letters."""
    calculation = re.findall(r"[-\d.+*/=]*\d[-\d.+*/=]*", re.sub(r"[\s$€£%,()]", "", text))
    if not calculation:
        return re.sub(r"\W+", " ", text).strip().lower()
    right = calculation[-1].rstrip(".=").rsplit("=", 1)[-1]
    return re.sub(r"(\.\d*?)0+$", r"\1", right).rstrip(".")


def samples(folder: Path, name: str, *, run_on: bool) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each row's text, as an op gets it or with all that the model went on to write."""
    for row in rows_of(folder, name, "all"):
        yield (row["raw"] if run_on and row["raw"] else transcript(row)[0]), row


def count(folder: Path, name: str, *, run_on: bool = False) -> dict[str, float]:
    """Count what is read of one file."""
    tally: Counter[str] = Counter()
    texts = list(samples(folder, name, run_on=run_on))
    began = process_time()
    if name in FREE_FILES:
        free = [read_free_answer(text) for text, _ in texts]
        readings = [(each.text, each.confidence) for each in free]
    else:
        chosen = [read_answer(text, row["choices"]) for text, row in texts]
        readings = [(each.option, each.confidence) for each in chosen]  # type: ignore[misc]
    seconds = process_time() - began
    for (read, confidence), (_, row) in zip(readings, texts, strict=True):
        recorded = row.get("predicted_equation") or row["predicted"]
        same = read == recorded
        if isinstance(read, str) and recorded is not None:
            same = free_key(read) == free_key(str(recorded))
        tally["rows"] += 1
        for name_, counts in (("", True), ("sure ", confidence > SURE)):
            tally[f"{name_}read"] += read is not None and counts
            both = read is not None and recorded is not None and counts
            tally[f"{name_}compared"] += both
            tally[f"{name_}wrong"] += both and not same
    return {**tally, "per second": round(len(texts) / seconds)}


def _share(part: float, of: float) -> str:
    if not of:
        return "-"
    low, high = wilson(int(part), int(of))
    return f"{part / of:.2%} ({low:.2%} to {high:.2%})"


def main() -> None:
    """Print the table, a line per file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="", help="files whose name has this")
    parser.add_argument("--json", type=Path, help="write the counts here")
    args = parser.parse_args()
    runs = [(name, False) for name in (*CHOICE_FILES, *FREE_FILES)] + [(n, True) for n in RUN_ON]
    table: dict[str, dict[str, float]] = {}
    print("| file | rows | read | read wrong | surely read | of these wrong | answers/s |")
    print("|---|---|---|---|---|---|---|")
    for name, run_on in runs:
        if args.only not in name:
            continue
        line = name + (", run on" if run_on else "")
        t = table[line] = count(args.data, name, run_on=run_on)
        cells = (
            _share(t["read"], t["rows"]),
            _share(t["wrong"], t["compared"]),
            _share(t["sure read"], t["rows"]),
            _share(t["sure wrong"], t["sure compared"]),
            f"{t['per second']:,}",
        )
        print(f"| {line} | {t['rows']:,} | {' | '.join(cells)} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
