"""A blind sheet: a student's and its teacher's rationales side by side, for people to judge.

Which side is whose is in a separate key, and nowhere on the sheet. Knows nothing of models or
verdicts.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any, Literal

from raygen.core import DamagedFileError, digest, option_letter, read_json_lines, read_json_object
from raygen.dataset import NEW
from streamtrain.errors import InputError
from streamtrain.evaluation import RATIONALES, evaluations_folder
from streamtrain.heldout import Question, read_held_out
from streamtrain.run import check_output
from streamtrain.training import find_student

KEY_VERSION = 1
SHEET, PAGE, KEY = "sheet.csv", "sheet.html", "key.json"
NOTHING = "(nothing)"

Side = Literal["left", "right"]

_COLUMNS = ("item", "question", "options", "answer", "left", "right", "verdict", "comment")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Prefixes that a spreadsheet would take for a formula."""


@dataclass(frozen=True, slots=True)
class SheetItem:
    """Two rationales of one question; `student` is the side of the student's."""

    item: str
    question: str
    choices: tuple[str, ...]
    answer: int
    left: str
    right: str
    student: Side
    group: str | None

    @property
    def options(self) -> str:
        """The options with their letters."""
        return "  ".join(f"({option_letter(n)}) {choice}" for n, choice in enumerate(self.choices))

    @property
    def gold(self) -> str:
        """The right option with its letter."""
        return f"({option_letter(self.answer)}) {self.choices[self.answer]}"


@dataclass(frozen=True, slots=True)
class SheetKey:
    """What un-blinds a sheet: its items, and whose rationales they are. `run` is the student's
    folder, `set` the name of its evaluation, `column` the source of the teacher's rationales."""

    student: str
    run: str
    set: str
    column: str
    seed: int
    items: tuple[SheetItem, ...]


def make_key(checkpoint: Path, data: Path, column: str, count: int, seed: int) -> SheetKey:
    """Draw the items of a sheet: at most `count` questions of the file `data`.

    `checkpoint` is the student's run, which an evaluation on `data` left rationales in; `column` is
    the teacher's rationales. `seed` draws questions and sides; the student is left as often as
    right. Raises InputError if the student's rationales were not kept, or the file has none.
    """
    folder, config = find_student(checkpoint)
    student_rationales = _rationales(
        evaluations_folder(folder) / data.stem / RATIONALES, checkpoint, data
    )
    rows = read_held_out(data, config.data.labels or ()).rows
    questions: dict[str, tuple[Question, str]] = {}
    for question, row in rows:
        if teacher_rationale := _text(row.get(column)):
            questions.setdefault(question.key, (question, teacher_rationale))
    if not questions:
        columns = ", ".join(sorted({name for _, row in rows for name in row}))
        raise InputError(
            f"{data}: no row has a rationale in the column {column!r}; found {columns}; name the "
            "teacher's with --teacher-column"
        )
    unknown = [
        question for question, _ in questions.values() if question.key not in student_rationales
    ]
    if unknown:
        raise InputError(
            f"{data}: the student wrote no rationale for {len(unknown)} of its questions, as "
            f"{unknown[0].question[:80]!r}; {_eval_command(checkpoint, data)} again"
        )
    chance = Random(seed)
    drawn = chance.sample(sorted(questions), min(count, len(questions)))
    sides: list[Side] = [("left", "right")[number % 2] for number in range(len(drawn))]
    chance.shuffle(sides)
    items = [
        _item(*questions[key], _text(student_rationales[key]), side, seed)
        for key, side in zip(drawn, sides, strict=True)
    ]
    return SheetKey(config.student, str(folder.absolute()), data.stem, column, seed, tuple(items))


def write_sheet(key: SheetKey, folder: Path) -> None:
    """Write the sheet as CSV and as a page to fill in, and the key.

    Raises InputError if the folder has a sheet already, OSError.
    """
    used = [name for name in (SHEET, PAGE, KEY) if (folder / name).exists()]
    if used:
        raise InputError(
            f"{folder} has a sheet already ({', '.join(used)}); give another folder with --out"
        )
    check_output(folder, NEW, "--out DIR")
    folder.mkdir(parents=True, exist_ok=True)
    # Spreadsheets know UTF-8 by this mark alone.
    (folder / SHEET).write_text(sheet_csv(key.items), encoding="utf-8-sig", newline="")
    (folder / PAGE).write_text(sheet_page(key.items), encoding="utf-8")
    document = {"version": KEY_VERSION, **asdict(key)}
    (folder / KEY).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_key(path: Path) -> SheetKey:
    """Read the key that `write_sheet` wrote. Raises InputError if it isn't one."""
    try:
        data = read_json_object(path, "the key of a sheet")
        if data["version"] != KEY_VERSION:
            raise InputError(
                f"{path} is a key of version {data['version']}; expected {KEY_VERSION}; make the "
                "sheet again"
            )
        items = [SheetItem(**{**item, "choices": tuple(item["choices"])}) for item in data["items"]]
        names = ("student", "run", "set", "column", "seed")
        return SheetKey(**{name: data[name] for name in names}, items=tuple(items))
    except (OSError, DamagedFileError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} can't be read as a key: {error!r}; expected the {KEY} that `streamtrain "
            "sheet` wrote beside the sheet"
        ) from error


def sheet_csv(items: Sequence[SheetItem]) -> str:
    """Format the sheet as CSV in which no text is a formula."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(_COLUMNS)
    for item in items:
        cells = (item.item, item.question, item.options, item.gold, item.left, item.right, "", "")
        lines.writerow([_inert(cell) for cell in cells])
    return text.getvalue()


def sheet_page(items: Sequence[SheetItem]) -> str:
    """Format the sheet as a self-contained HTML page that exports its verdicts as CSV."""
    shown = [
        {
            "item": item.item,
            "question": item.question,
            "options": item.options,
            "answer": item.gold,
            "left": item.left,
            "right": item.right,
        }
        for item in items
    ]
    page = files("streamtrain.rationales").joinpath(PAGE).read_text(encoding="utf-8")
    # So that no text ends the element that it stands in.
    return page.replace("ITEMS", json.dumps(shown).replace("<", "\\u003c"), 1)


def _rationales(path: Path, checkpoint: Path, data: Path) -> dict[str, str]:
    """Read the student's rationales by the keys of their questions."""
    try:
        lines = read_json_lines(path, "a student's rationales")
        return {line["key"]: line["rationale"] for line in lines}
    except FileNotFoundError:
        raise InputError(
            f"{checkpoint} has no rationales for {data.name} yet; "
            f"{_eval_command(checkpoint, data)} first"
        ) from None
    except (OSError, DamagedFileError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} can't be read: {error!r}; {_eval_command(checkpoint, data)} again"
        ) from error


def _eval_command(checkpoint: Path, data: Path) -> str:
    return f"run `streamtrain eval {checkpoint} --data {data} --rationales`"


def _item(
    question: Question, teacher_rationale: str, student_rationale: str, side: Side, seed: int
) -> SheetItem:
    student_rationale = student_rationale or NOTHING
    left, right = (
        (student_rationale, teacher_rationale)
        if side == "left"
        else (teacher_rationale, student_rationale)
    )
    # Of what the sheet shows alone, so that an id tells no side, and of another sheet is another;
    # letters first, so that no spreadsheet reads a number.
    name = f"q{digest('item', seed, question.key, left, right)[:10]}"
    return SheetItem(
        name,
        _text(question.question),
        question.choices,
        question.answer,
        left,
        right,
        side,
        question.group,
    )


def _text(value: Any) -> str:
    """Put a text on one line: line breaks would tell the sides apart, and disturb spreadsheets."""
    return " ".join(value.split()) if isinstance(value, str) else ""


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
