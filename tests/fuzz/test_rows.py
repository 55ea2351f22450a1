"""Whatever stands in a source: rows with the right label, or an error that says which row."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from raygen.core.task import TASKS
from raygen.dataset.storage import Folder
from raygen.sources import SourceError, key_source, scan_columns
from streamtrain.errors import InputError
from streamtrain.heldout.questions import read_questions
from tests.fuzz.cases import cases
from tests.fuzz.strategies import as_json, files, good_rows, hostile, rows


@dataclass(frozen=True)
class Spec:
    path: str

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,)

    limit: int | None = None
    sample: None = None
    columns: dict[str, str] = field(default_factory=dict)
    repeated: None = None
    header: None = None
    choices: None = None
    answer_is: None = None
    invalid: Literal["drop", "refuse"] = "refuse"
    max_invalid: float = 0.0


def read(path: Path, content: bytes, task: str) -> list[dict[str, Any]] | None:
    """The rows of a source, None where it is refused."""
    path.write_bytes(content)
    spec = Spec(path.name)
    try:
        scan_columns(spec, path.parent)
        source = key_source(spec, TASKS[task], path.parent, Folder.at(str(path.parent / "out")))
    except SourceError as error:
        assert path.name in str(error) or "source" in str(error)
        return None
    found = source.read(range(source.total))
    assert len({key for key, _ in found}) == len(found), "each row has a key of its own"
    return [data for _, data in found]


def check(found: list[dict[str, Any]], task: str) -> None:
    for row in found:
        if task == "multiple_choice":
            assert row["question"].strip()
            assert len(row["choices"]) >= 2
            assert all(choice.strip() for choice in row["choices"])
            assert 0 <= row["answer"] < len(row["choices"])
        elif task == "classification":
            assert row["text"].strip()
            assert row["label"].strip()


tasks = st.sampled_from(["multiple_choice", "classification", "free_text"])
suffixes = st.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".ndjson"])


@cases("rows", files, tasks, suffixes, weight=1.5, sample=45, vary=(0,))
def test_any_file(tmp_path: Path, content: bytes, task: str, suffix: str) -> None:
    found = read(tmp_path / f"source{suffix}", content, task)
    if found is not None:
        check(found, task)


@cases(
    "rows",
    st.binary(max_size=200),
    st.sampled_from([".jsonl.gz", ".parquet", ".pq", ".txt", ".csv.gz"]),
    weight=0.5,
    sample=15,
    vary=(0,),
)
def test_any_bytes_under_any_name(tmp_path: Path, content: bytes, suffix: str) -> None:
    read(tmp_path / f"source{suffix}", content, "free_text")


@cases(
    "rows", files, tasks, suffixes, st.sampled_from([b" ", b"[", b"0", b"x,"]), weight=0.02,
    sample=10,
)  # fmt: skip
def test_any_packed_file_that_unpacks_to_much(
    tmp_path: Path, content: bytes, task: str, suffix: str, unit: bytes
) -> None:
    packed = gzip.compress(content + unit * 2**24 + content, 1)
    found = read(tmp_path / f"source{suffix}.gz", packed, task)
    if found is not None:
        check(found, task)


def comparable(options: Any) -> list[str]:
    return [
        str(each).strip() for each in (options["text"] if isinstance(options, dict) else options)
    ]


@cases("rows", st.lists(good_rows(), min_size=1, max_size=4), weight=0.15, sample=45)
def test_an_answer_in_any_documented_form_is_the_right_one(
    tmp_path: Path, pairs: list[tuple[dict[str, Any], int]]
) -> None:
    pairs = [*pairs, ({"question": "Which?", "choices": ["this one", "that one"], "answer": 0}, 0)]
    content = b"\n".join(as_json(row) for row, _ in pairs)
    found = read(tmp_path / "source.jsonl", content, "multiple_choice")
    if found is None:  # half a character, or a number that no table holds, in another column
        found = read(
            tmp_path / "plain.jsonl",
            b"\n".join(
                as_json({name: row[name] for name in ("question", "choices", "answer")})
                for row, _ in pairs
            ),
            "multiple_choice",
        )
    assert found is not None
    for row, (given, index) in zip(found, pairs, strict=True):
        assert row["answer"] == index
        assert row["choices"] == comparable(given["choices"])
        assert row["question"] == given["question"]


@cases("rows", st.lists(good_rows(), min_size=1, max_size=3), weight=0.1, sample=15)
def test_questions_of_an_evaluation_have_the_same_answers(
    tmp_path: Path, pairs: list[tuple[dict[str, Any], int]]
) -> None:
    path = tmp_path / "held.jsonl"
    plain = [{name: row[name] for name in ("question", "choices", "answer")} for row, _ in pairs]
    path.write_bytes(b"\n".join(map(as_json, plain)))
    for question, (row, index) in zip(read_questions(path), pairs, strict=True):
        assert question.answer == index
        assert list(question.choices) == comparable(row["choices"])


@cases(
    "rows",
    st.one_of(files, st.binary(max_size=80)),
    st.sampled_from([".jsonl", ".json", ".parquet", ""]),
    weight=0.53,
    vary=(0,),
)
def test_any_file_of_questions(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"held{suffix}"
    path.write_bytes(content)
    try:
        for question in read_questions(path):
            assert 0 <= question.answer < len(question.choices)
            assert all(choice.strip() for choice in question.choices)
    except InputError as error:
        assert "held" in str(error)


@cases("rows", st.lists(rows, min_size=1, max_size=4), tasks, weight=0.5, vary=(0,))
def test_any_parquet(tmp_path: Path, content: list[dict[str, Any]], task: str) -> None:
    try:
        table = pa.Table.from_pylist(content)
        assume(table.num_columns)
        sink = io.BytesIO()
        pq.write_table(table, sink)
    except (pa.ArrowException, UnicodeError, OverflowError):
        assume(False)
    found = read(tmp_path / "source.parquet", sink.getvalue(), task)
    if found is not None:
        check(found, task)


@cases(
    "rows", st.lists(st.lists(hostile, min_size=3, max_size=3), max_size=4), weight=0.5, sample=15,
    vary=(0,),
)  # fmt: skip
def test_any_cells(tmp_path: Path, cells: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["question", "choices", "answer"], *cells])
    found = read(
        tmp_path / "source.csv", text.getvalue().encode("utf-8", "replace"), "multiple_choice"
    )
    if found is not None:
        check(found, "multiple_choice")


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
def test_a_field_of_ten_megabytes(tmp_path: Path, suffix: str) -> None:
    question = "why " * 2_500_000
    row = {"question": question, "choices": ["yes it is", "no it isn't"], "answer": 0}
    content = json.dumps(row).encode()
    if suffix == ".csv":
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerows([list(row), [question, json.dumps(row["choices"]), "0"]])
        content = text.getvalue().encode()
    found = read(tmp_path / f"source{suffix}", content, "multiple_choice")
    assert found is not None
    assert found[0]["question"] == question
