"""How well answers are read, on recorded transcripts whose answer is known.

    python benchmarks/parsers.py DATA [--half even|odd|all] [--show 10] [--only palm]

DATA is a folder with the Parquet files named below. Which texts name exactly one choice is decided
here, without the parser: by plain search (`named`) in what follows the last "answer is" or
"answer:" (`stated`), with no idea of what denies, hedges or explains. Rows fall into an even and
an odd half by a hash of their id: the parser was worked on with the even half alone.
"""

from __future__ import annotations

import argparse
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from raygen.checks import settle
from raygen.core.answers import read_answer, read_free_answer

TRIGGER = "Therefore, the answer is"
CHOICE_FILES = (
    "gpt3_zeroshot_cot_choice",
    "palm_csqa_train",
    "palm_csqa_dev",
    "palm_anli1_valid",
    "palm_esnli_valid3000",
    "teachers_csqa_train",
    "teachers_obqa_train",
    "teachers_strategyqa_train",
    "gpt3_quarel_train",
    "gpt3_strategyqa_train",
)
FREE_FILES = ("palm_svamp_train", "gpt3_cot_math")


@dataclass
class Tally:
    """What one file came to: rows that state one choice, the rest, and rows that state nothing.

    `unrecorded` rows state one choice by the search here, where the log has no reading.

    `unstated` counts (confidence, as recorded) of what was read from a text that states nothing.
    `odd_ones` are the rows to look at, by kind.
    """

    rows: int = 0
    one: int = 0
    agree: int = 0
    unrecorded: int = 0
    rest: int = 0
    null: int = 0
    silent: int = 0
    unstated: Counter[tuple[float, bool]] = field(default_factory=Counter)
    odd_ones: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def transcript(row: Mapping[str, Any]) -> tuple[str, str]:
    """The text as an op would get it, and the part of it that states the answer."""
    if row.get("raw"):
        # The few-shot prompts part questions by an empty line, which is where a recipe stops.
        text = row["raw"].split("\n\n")[0]
        return text, stated(text)
    if "answer_text" in row:
        said = row["answer_text"] or ""
        first = re.split(r"\n|(?<=\w\w\.)\s", said.lstrip(" :\n"))[0]
        return f"{row['rationale']}\n{TRIGGER} {said}", first
    return row["rationale"], stated(row["rationale"])


def stated(text: str) -> str:
    """What follows the last "answer is" or "answer:" in its sentence; nothing where none does."""
    sentences = re.split(r"(?<=\.)\s|\n", text)
    stating = [s for s in sentences if re.search(r"answer( is|:)", s, re.IGNORECASE)]
    return re.split(r"answer(?: is|:)", stating[-1], flags=re.IGNORECASE)[-1] if stating else ""


def named(part: str, choices: list[str]) -> set[int]:
    """The choices found in a text by plain search; a longer choice hides a shorter one.

    A part with a "not" before its first comma names none: plain search can't tell what is denied.
    """
    found: set[int] = set()
    for index in range(len(choices)):
        letter = "ABCDEFGH"[index]
        if re.search(rf"\({letter}\)|(?<!\w){letter}\)", part, re.IGNORECASE) or re.search(
            rf"(?<!\w){letter}(?=[.,):;]|$|\s(?:or|and|\())", part
        ):
            found.add(index)
    rest = part.lower()
    for index in sorted(range(len(choices)), key=lambda i: -len(choices[i])):
        words = choices[index].strip().rstrip(".").lower()
        pattern = re.escape(words) + r"(?!\w)"
        if words in ("yes", "no"):
            # "No" is a word of every other sentence; as an answer it closes a clause.
            same = {"yes": "true", "no": "false"}[words]
            pattern = rf"(?:{words}|{same})(?=\W*$|[.,:;!])"
        shorter = re.sub(rf"(?<!\w){pattern}", "\0", rest)
        if shorter != rest:
            found.add(index)
            rest = shorter
    denied = re.search(r"\bnot\b|n't\b", rest.strip(" :").split(",")[0])
    return set() if denied else found


def rows_of(folder: Path, name: str, half: str) -> Iterator[dict[str, Any]]:
    """The rows of one half of a file."""
    for row in pl.read_parquet(folder / f"{name}.parquet").iter_rows(named=True):
        if half == "all" or (zlib.crc32(row["id"].encode()) % 2 == 0) == (half == "even"):
            yield row


def measure(folder: Path, name: str, half: str = "all", most: int | None = None) -> Tally:
    """One multiple-choice file, or its first `most` rows."""
    tally = Tally()
    for row in rows_of(folder, name, half):
        text, part = transcript(row)
        answer = read_answer(text, row["choices"])
        read, recorded = answer.option, row["predicted"]
        tally.rows += 1
        if not part.strip():
            tally.silent += 1
            if read is not None:
                tally.unstated[answer.confidence, read == recorded] += 1
                if read != recorded:
                    kind = f"silent, {answer.confidence}"
                    tally.odd_ones[kind].append(_line(row, read, text))
        elif len(says := named(part, row["choices"])) == 1 and recorded is None:
            tally.unrecorded += 1
            if read is not None:
                tally.odd_ones["one choice, log null"].append(_line(row, read, text))
        elif len(says) == 1:
            tally.one += 1
            tally.agree += read == recorded
            if read != recorded:
                kind = "one choice: read " + ("nothing" if read is None else "another")
                tally.odd_ones[kind].append(_line(row, read, text))
        else:
            tally.rest += 1
            tally.null += read is None
            if read is not None:
                log = "null" if recorded is None else "same" if read == recorded else "other"
                tally.odd_ones[f"rest: {len(says)} named, log {log}"].append(_line(row, read, text))
        if tally.rows == most:
            break
    return tally


def measure_free(folder: Path, name: str, half: str = "all", most: int | None = None) -> Tally:
    """One file of open answers: `one` where the stated part has one number, or is one word."""
    tally = Tally()
    for row in rows_of(folder, name, half):
        text, part = transcript(row)
        recorded = row.get("predicted_equation") or row["predicted"]
        read = read_free_answer(text).text
        tally.rows += 1
        numbers = re.findall(r"\d[\d,.]*", part)
        if recorded is None or ("raw" not in row and len(numbers) != 1 and len(part.split()) != 1):
            tally.rest += 1
            tally.null += read is None
        else:
            tally.one += 1
            verdict = settle(read, recorded, "math")
            same = verdict is not None and verdict.correct
            tally.agree += same
            if not same:
                tally.odd_ones["differs"].append(_line({**row, "predicted": recorded}, read, text))
        if tally.rows == most:
            break
    return tally


def _line(row: Mapping[str, Any], read: object, text: str) -> str:
    shown = text[-160:].replace("\n", "\\n")
    return (
        f"      read {read!r}, recorded {row['predicted']!r} {row.get('choices') or ''} ...{shown}"
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"


def main() -> None:
    """Print the table, and of each kind of odd rows as many as asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--half", choices=("even", "odd", "all"), default="all")
    parser.add_argument("--show", type=int, default=0, help="odd rows to show of each kind")
    parser.add_argument("--only", default="", help="files whose name has this")
    args = parser.parse_args()
    heads = ("rows", "one choice", "agree", "log null", "rest", "null", "silent")
    print(f"{'file':27}" + "".join(f"{head:>11}" for head in heads))
    for name in (*CHOICE_FILES, *FREE_FILES):
        if args.only not in name:
            continue
        run = measure_free if name in FREE_FILES else measure
        t = run(args.data, name, args.half)
        agree, null = _share(t.agree, t.one), _share(t.null, t.rest)
        cells = (t.rows, t.one, agree, t.unrecorded, t.rest, null, t.silent)
        print(f"{name:27}" + "".join(f"{cell:>11}" for cell in cells))
        for confidence in sorted({c for c, _ in t.unstated}, reverse=True):
            right, wrong = t.unstated[confidence, True], t.unstated[confidence, False]
            print(
                f"    silent, read at {confidence}: {right + wrong}, "
                f"as recorded {_share(right, right + wrong)}"
            )
        for kind, lines in sorted(t.odd_ones.items()):
            print(f"    {kind}: {len(lines)}", *lines[: args.show], sep="\n")


if __name__ == "__main__":
    main()
