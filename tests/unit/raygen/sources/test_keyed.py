from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import json
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.core.choices import AnswerForm
from raygen.core.task import TASKS
from raygen.dataset.storage import Folder
from raygen.sources import KeyedSource, key_source, open_keyed, scan_columns
from raygen.sources.rows import SourceError
from tests.support.generated import fewer_examples


@dataclass(frozen=True)
class Sample:
    n: int | None
    seed: int = 0
    balance: str | None = None


@dataclass(frozen=True)
class Repeated:
    on: tuple[str, ...]
    near: float | None = None


@dataclass(frozen=True)
class Spec:
    path: str | tuple[str, ...]
    limit: int | None = None
    sample: Sample | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    repeated: Repeated | None = None
    header: tuple[str, ...] | None = None
    choices: tuple[str, ...] | None = None
    answer_is: AnswerForm | None = None
    invalid: Literal["drop", "refuse"] = "drop"
    max_invalid: float = 0.1

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path


def question(i: int, **more: Any) -> dict[str, Any]:
    return {"question": f"Q{i}?", "choices": ["yes", "no", "maybe"], "answer": i % 3, **more}


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def key(base: Path, spec: Spec, task: str = "multiple_choice") -> KeyedSource:
    return key_source(spec, TASKS[task], base, Folder.at(base / "out"))


def data(source: KeyedSource) -> list[dict[str, Any]]:
    return [row for _, row in source.read(range(source.total))]


def test_rows_are_normalised_and_come_back_by_ordinal(tmp_path: Path) -> None:
    rows = [question(i, answer=letter, tags={"n": [i]}) for i, letter in enumerate("abc")]
    write_lines(tmp_path / "q.jsonl", rows)
    source = key(tmp_path, Spec("q.jsonl"))
    assert source.total == 3
    assert source.name.startswith("source/")
    keys = source.keys
    picked = open_keyed(Folder.at(tmp_path / "out"), source.name).read([2, 0])
    assert [key for key, _ in picked] == [keys[2], keys[0]]
    assert picked[0][1] == {**rows[2], "answer": 2}
    types = scan_columns(Spec("q.jsonl"), tmp_path)
    assert types == {
        "question": "string",
        "choices": "strings",
        "answer": "string",
        "tags": "json",
    }


def test_formats_give_the_same_rows(tmp_path: Path) -> None:
    rows = [question(i, weight=i + 0.5, hard=i % 2 == 0) for i in range(4)]
    write_lines(tmp_path / "q.jsonl", rows)
    (tmp_path / "q.json").write_text(json.dumps(rows, indent=1))
    write_lines(tmp_path / "lines.json", rows)
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress((tmp_path / "q.jsonl").read_bytes()))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "q.parquet")
    with (tmp_path / "q.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "choices": json.dumps(row["choices"])} for row in rows)
    names = ["q.jsonl", "q.json", "lines.json", "q.jsonl.gz", "q.parquet", "q.csv"]
    types = [scan_columns(Spec(name), tmp_path) for name in names]
    assert types[:-1] == [types[0]] * (len(names) - 1)
    assert types[0]["hard"] == "boolean"
    assert set(types[-1].values()) == {"string"}
    for name in names:
        texts = [{**row, "weight": str(row["weight"]), "hard": str(row["hard"])} for row in rows]
        assert data(key(tmp_path, Spec(name))) == (texts if name == "q.csv" else rows), name
    assert key(tmp_path, Spec("q.parquet")).keys == key(tmp_path, Spec("q.jsonl")).keys


def test_parquet_values_become_json_values(tmp_path: Path) -> None:
    table = pa.table(
        {
            "question": pa.array(["a?", "b?"]).dictionary_encode(),
            "day": pa.array([datetime.date(2024, 1, 2), None]),
            "price": pa.array([1, 2], pa.decimal128(5, 2)),
            "image": pa.array([b"\xff\xd8", b"y"]),
            "small": pa.array([1, 2], pa.int8()),
            "who": pa.array([{"name": "x", "born": datetime.date(2000, 1, 1)}, None]),
        }
    )
    pq.write_table(table, tmp_path / "q.parquet")
    assert scan_columns(Spec("q.parquet"), tmp_path) == {
        "question": "string",
        "day": "string",
        "price": "number",
        "small": "integer",
        "who": "json",
    }
    first = data(key(tmp_path, Spec("q.parquet"), "free_text"))[0]
    assert first == {
        "question": "a?",
        "day": "2024-01-02",
        "price": 1.0,
        "small": 1,
        "who": {"name": "x", "born": "2000-01-01"},
    }


def test_columns_of_every_type_are_exact_or_left_out(tmp_path: Path) -> None:
    table = pa.table(
        {
            "question": pa.array([b"a?", b"b?"], pa.binary()),
            "big": pa.array([2**64 - 1, 1], pa.uint64()),
            "small": pa.array([7, 8], pa.uint64()),
            "pair": pa.array([["x", "y"], ["z", "w"]], pa.list_(pa.string(), 2)),
            "many": pa.array([["x"], []], pa.large_list(pa.large_string())),
            "exact": pa.array([decimal.Decimal("1234567890123456789.01"), None]),
            "took": pa.array([datetime.timedelta(seconds=1), None]),
            "at": pa.array([datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC), None]),
            "kind": pa.array(["x", "x"]).dictionary_encode(),
            "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
            "image": pa.array([b"\xff\xd8", b"\xff"]),
        }
    )
    pq.write_table(table, tmp_path / "q.parquet")
    row, _ = data(key(tmp_path, Spec("q.parquet"), "free_text"))
    assert row.pop("took") > 0
    assert row.pop("at").startswith("2024-01-02 00:00:00")
    assert row == {
        "question": "a?",
        "big": 2**64 - 1,
        "small": 7,
        "pair": ["x", "y"],
        "many": ["x"],
        "exact": "1234567890123456789.01",
        "kind": "x",
        "map": {"a": 1},
    }
    types = scan_columns(Spec("q.parquet"), tmp_path)
    assert (types["big"], types["small"], types["pair"]) == ("json", "integer", "strings")


def test_a_glob_reads_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    write_lines(tmp_path / "part-2.jsonl", [question(2)])
    write_lines(tmp_path / "part-1.jsonl", [question(0), question(1)])
    write_lines(tmp_path / "other.jsonl", [question(9)])
    source = key(tmp_path, Spec("part-*.jsonl"))
    assert [row["question"] for row in data(source)] == ["Q0?", "Q1?", "Q2?"]


def test_a_list_reads_its_files_in_its_order(tmp_path: Path) -> None:
    write_lines(tmp_path / "b.jsonl", [question(1)])
    write_lines(tmp_path / "a.json", [question(2)])
    source = key(tmp_path, Spec(("b.jsonl", "*.json")))
    assert [row["question"] for row in data(source)] == ["Q1?", "Q2?"]
    with pytest.raises(SourceError, match=r"no file .*c\.jsonl"):
        key(tmp_path, Spec(("b.jsonl", "c.jsonl")))


def test_a_remote_path(tmp_path: Path) -> None:
    lines = "".join(json.dumps(question(i)) + "\n" for i in range(2))
    for name in ("a", "b"):
        fsspec.filesystem("memory").pipe(f"/questions/{name}.jsonl", lines.encode())
    assert key(tmp_path, Spec("memory://questions/a.jsonl")).total == 2
    assert key(tmp_path, Spec("memory://questions/*.jsonl")).total == 4
    with pytest.raises(SourceError, match=r"no file memory://questions/c\.jsonl"):
        key(tmp_path, Spec("memory://questions/c.jsonl"))


def test_columns_are_renamed_and_the_others_stay(tmp_path: Path) -> None:
    rows = [{"stem": "Q?", "choices": ["a", "b"], "gold": "b", "answer": "ignored", "id": "7"}]
    write_lines(tmp_path / "q.jsonl", rows)
    spec = Spec("q.jsonl", columns={"question": "stem", "answer": "gold", "source_id": "id"})
    assert set(scan_columns(spec, tmp_path)) == {"question", "choices", "answer", "source_id"}
    expected = {"question": "Q?", "choices": ["a", "b"], "answer": 1, "source_id": "7"}
    assert data(key(tmp_path, spec)) == [expected]


def test_columns_that_examples_own_are_in_the_key_only(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [question(0, id="x"), question(0, id="y")])
    source = key(tmp_path, Spec("q.jsonl"))
    assert len(set(source.keys)) == 2
    assert all("id" not in row for row in data(source))


def test_a_missing_column_is_named_with_its_nearest_spelling(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [question(0)])
    with pytest.raises(SourceError) as caught:
        scan_columns(Spec("q.jsonl", columns={"answer": "anwser"}), tmp_path)
    message = str(caught.value)
    assert "q.jsonl has no column 'anwser' (source.columns.answer)" in message
    assert "did you mean 'answer'?" in message
    assert "it has: question, choices, answer" in message


def test_a_missing_file_is_named_with_its_nearest_spelling(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", [question(0)])
    with pytest.raises(SourceError, match=r"no file .*trian\.jsonl; did you mean '.*train\.jsonl'"):
        scan_columns(Spec("trian.jsonl"), tmp_path)
    with pytest.raises(SourceError, match="no file matches"):
        scan_columns(Spec("*.csv"), tmp_path)
    with pytest.raises(SourceError, match="is a folder"):
        scan_columns(Spec("."), tmp_path)
    with pytest.raises(SourceError, match="unknown format"):
        scan_columns(Spec(str(Path(__file__))), tmp_path)


@pytest.mark.parametrize("name", ["q.jsonl", "q.json", "q.csv", "header.csv", "q.parquet"])
def test_an_empty_source_is_an_error(tmp_path: Path, name: str) -> None:
    content = {"header.csv": b"question,answer\n"}.get(name, b"")
    (tmp_path / name).write_bytes(content)
    if name == "q.parquet":
        pq.write_table(pa.table({"question": pa.array([], pa.string())}), tmp_path / name)
    for read in (scan_columns, lambda spec, base: key(base, spec)):
        with pytest.raises(SourceError, match=r"has no rows; expected at least one"):
            read(Spec(name), tmp_path)


def test_broken_lines_are_all_counted_and_the_first_shown(tmp_path: Path) -> None:
    lines = ['{"question": "Q?"}'] + ["{broken"] * 7
    (tmp_path / "q.jsonl").write_text("\n\n".join(lines))
    with pytest.raises(SourceError) as caught:
        scan_columns(Spec("q.jsonl"), tmp_path)
    shown = str(caught.value).splitlines()
    assert "q.jsonl, line 3, column 2: Expecting property name" in shown[0]
    assert shown[5] == "and 2 more"
    assert shown[6] == "expected one JSON object per line; correct these lines"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.jsonl", b"[1]\n", r"line 1: found \[1\]"),
        ("q.jsonl", b'{"question": "\xff"}\n', r"line 1: .*utf-8"),
        ("q.json", b'{"a": ', r"line 1, column 7"),
        ("q.json", b"3", r"found int; expected a list"),
        ("q.csv", b"a,b\n1,2\n1\n", r"line 3: found 1 cells"),
        ("q.csv", b"a,a\n1,2\n", r"names a column twice"),
        ("q.csv", b'a,b\n"1,2\n', r"line 2: "),
        ("q.csv", b"a\n\xff\n", r"expected UTF-8"),
        ("q.parquet", b"not parquet", r"expected a Parquet file"),
        ("q.jsonl.gz", b"not gzip", r"can't read .*q\.jsonl\.gz"),
    ],
)
def test_broken_files_say_where(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        scan_columns(Spec(name), tmp_path)


def test_rows_outside_the_task_are_all_counted(tmp_path: Path) -> None:
    rows = [question(0), *[question(i, answer="Z") for i in range(6)], question(1)]
    write_lines(tmp_path / "q.jsonl", rows)
    with pytest.raises(SourceError) as caught:
        key(tmp_path, Spec("q.jsonl"))
    shown = str(caught.value).splitlines()
    assert "q.jsonl, line 2: answer is 'Z', outside the choices ['yes', 'no', 'maybe']" in shown[0]
    assert "and 1 more" in shown
    assert "6 of 8 rows don't fit the task 'multiple_choice', more than" in shown[-1]


def test_text_that_no_file_can_hold_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "\\ud83d?"}\n')
    with pytest.raises(SourceError, match="question is no text that a file can hold"):
        key(tmp_path, Spec("q.jsonl"), "free_text")


def test_the_copy_is_the_same_file_for_the_same_content(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [question(i) for i in range(3)])
    first, second = key(tmp_path, Spec("q.jsonl")), key(tmp_path, Spec("q.jsonl"))
    assert first.name == second.name
    assert key(tmp_path, Spec("q.jsonl", limit=2)).name != first.name
    assert len(list((tmp_path / "out" / "source").iterdir())) == 2


def test_many_row_groups(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [question(i) for i in range(7000)])
    source = key(tmp_path, Spec("q.jsonl"))
    ordinals = [6999, 0, 1024, 1023, 5000, 3000, 2048, 4096]
    assert [row["question"] for _, row in source.read(ordinals)] == [f"Q{i}?" for i in ordinals]
    assert [key for key, _ in source.read(ordinals)] == [source.keys[i] for i in ordinals]


def test_a_balanced_sample(tmp_path: Path) -> None:
    rows = [question(i, answer=0 if i < 50 else i % 3) for i in range(80)]
    write_lines(tmp_path / "q.jsonl", rows)
    chosen = data(key(tmp_path, Spec("q.jsonl", sample=Sample(18, 0, "answer"))))
    assert Counter(row["answer"] for row in chosen) == {0: 6, 1: 6, 2: 6}
    assert chosen == sorted(chosen, key=lambda row: int(row["question"][1:-1]))
    repeated = data(key(tmp_path, Spec("q.jsonl", sample=Sample(18, 0, "answer"))))
    other = data(key(tmp_path, Spec("q.jsonl", sample=Sample(18, 1, "answer"))))
    assert repeated == chosen
    assert other != chosen
    part = data(key(tmp_path, Spec("q.jsonl", limit=5, sample=Sample(18, 0, "answer"))))
    assert part == chosen[:5]


def test_a_sample_without_a_number_is_the_whole_source_in_the_order_of_the_draw(
    tmp_path: Path,
) -> None:
    rows = [question(i, answer=0 if i < 50 else i % 3) for i in range(80)]
    write_lines(tmp_path / "q.jsonl", rows)
    pool = data(key(tmp_path, Spec("q.jsonl", sample=Sample(None, 0, "answer"))))
    assert len(pool) == 80
    assert Counter(row["answer"] for row in pool[:18]) == {0: 6, 1: 6, 2: 6}
    few = data(key(tmp_path, Spec("q.jsonl", sample=Sample(18, 0, "answer"))))
    assert sorted(pool[:18], key=str) == sorted(few, key=str)
    other = data(key(tmp_path, Spec("q.jsonl", sample=Sample(None, 1, "answer"))))
    assert other != pool


def test_a_rare_value_gives_what_it_has(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [question(0, answer=int(i == 0)) for i in range(10)])
    chosen = data(key(tmp_path, Spec("q.jsonl", sample=Sample(6, 0, "answer"))))
    assert Counter(row["answer"] for row in chosen) == {0: 5, 1: 1}


def test_rows_that_repeat_an_earlier_one_are_no_source_rows(tmp_path: Path) -> None:
    rows = [question(0), question(1), question(0, note="again"), question(2)]
    rows[2]["question"] = "  q0? "
    write_lines(tmp_path / "q.jsonl", rows)
    complete = key(tmp_path, Spec("q.jsonl"))
    distinct = key(tmp_path, Spec("q.jsonl", repeated=Repeated(("question",))))
    assert distinct.keys == [complete.keys[k] for k in (0, 1, 3)]
    assert (distinct.total, distinct.left_out, complete.left_out) == (3, 1, 0)
    assert open_keyed(Folder.at(tmp_path / "out"), distinct.name).left_out == 1
    both = key(tmp_path, Spec("q.jsonl", repeated=Repeated(("question", "answer"))))
    assert both.total == 3
    noted = key(tmp_path, Spec("q.jsonl", repeated=Repeated(("question", "note"))))
    assert noted.total == 4


def test_near_repeats_of_a_renamed_column(tmp_path: Path) -> None:
    texts = ["Where do fish live, and why?", "Where do fish live and why?", "Who barks?"]
    write_lines(tmp_path / "q.jsonl", [{"stem": text, "choices": ["a", "b"], "answer": 0}
                                       for text in texts])  # fmt: skip
    columns = {"question": "stem"}
    for near, left in ((0.5, [0, 2]), (0.99, [0, 1, 2])):
        repeated = Repeated(("question",), near)
        source = key(tmp_path, Spec("q.jsonl", columns=columns, repeated=repeated))
        assert [row["question"] for row in data(source)] == [texts[k] for k in left]


def test_repeats_go_before_samples_and_limits_are_taken(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [question(i % 4, place=i) for i in range(12)])
    once = Repeated(("question",))
    limited = key(tmp_path, Spec("q.jsonl", limit=3, repeated=once))
    assert [row["place"] for row in data(limited)] == [0, 1, 2]
    sampled = key(tmp_path, Spec("q.jsonl", sample=Sample(4), repeated=once))
    assert [row["place"] for row in data(sampled)] == [0, 1, 2, 3]
    assert sampled.left_out == 8


def test_a_column_to_compare_that_is_not_there(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [question(0)])
    spec = Spec("q.jsonl", repeated=Repeated(("qestion",)))
    for read in (scan_columns, lambda spec, base: key(base, spec)):
        with pytest.raises(
            SourceError, match=r"'qestion' \(source\.deduplicate\); did you mean 'question'"
        ):
            read(spec, tmp_path)


def test_a_sample_that_can_not_be_is_an_error(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [question(i) for i in range(3)])
    with pytest.raises(SourceError, match=r"has 3 rows; source\.sample\.n asks for 4"):
        key(tmp_path, Spec("q.jsonl", sample=Sample(4)))
    with pytest.raises(SourceError, match=r"no column 'answr'.*did you mean 'answer'"):
        key(tmp_path, Spec("q.jsonl", sample=Sample(2, 0, "answr")))


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner),
    max_leaves=4,
)
_ROWS = st.lists(
    st.dictionaries(st.sampled_from(["x", "y", "z"]), _VALUES), min_size=1, max_size=6
).map(lambda rows: [{"question": "Q?", **row} for row in rows])


@fewer_examples(2)
@given(rows=_ROWS)
def test_any_json_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    base = tmp_path_factory.mktemp("base")
    write_lines(base / "q.jsonl", rows)
    source = key(base, Spec("q.jsonl"), "free_text")
    assert len(set(source.keys)) == len(rows)
    for row, back in zip(rows, data(source), strict=True):
        assert {name: value for name, value in back.items() if value is not None} == {
            name: value for name, value in row.items() if value is not None
        }


@fewer_examples(2)
@given(rows=_ROWS, added=_ROWS, limit=st.integers(1, 6))
def test_keys_outlast_limits_and_added_rows(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    added: list[dict[str, Any]],
    limit: int,
) -> None:
    base = tmp_path_factory.mktemp("base")
    write_lines(base / "q.jsonl", rows)
    keys = key(base, Spec("q.jsonl"), "free_text").keys
    assert key(base, Spec("q.jsonl", limit=limit), "free_text").keys == keys[:limit]
    write_lines(base / "q.jsonl", rows + added)
    assert key(base, Spec("q.jsonl"), "free_text").keys[: len(keys)] == keys


@fewer_examples(2)
@given(
    cells=st.lists(st.sampled_from(["1", "01", "2.5", "x", "", "[1]", "true"]), min_size=2),
    cut=st.integers(1, 5),
)
def test_csv_keys_do_not_depend_on_the_types_of_other_rows(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str], cut: int
) -> None:
    base = tmp_path_factory.mktemp("base")
    lines = [f"Q?,{cell}\n" for cell in cells]
    (base / "q.csv").write_text("question,x\n" + "".join(lines[:cut]))
    before = key(base, Spec("q.csv"), "free_text").keys
    (base / "q.csv").write_text("question,x\n" + "".join(lines))
    assert key(base, Spec("q.csv"), "free_text").keys[: len(before)] == before


def test_the_error_travels() -> None:
    error = pickle.loads(pickle.dumps(SourceError("no rows")))  # noqa: S301
    assert (str(error), error.exit_code) == ("no rows", 2)


def test_rows_need_no_heavy_import() -> None:
    code = (
        "import raygen.core.row, sys; print({'pyarrow', 'polars', 'deltalake'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_one_column_may_have_two_names(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [{"q": "Which? (A) ice (B) sand", "a": 1}])
    columns = {"question": "q", "choices": "q", "answer": "a"}
    spec = Spec("q.jsonl", columns=columns, answer_is="index")
    (row,) = data(key(tmp_path, spec))
    assert row == {"question": "Which?", "choices": ["ice", "sand"], "answer": 1}
    assert set(scan_columns(spec, tmp_path)) == {"question", "choices", "answer"}


def test_two_columns_may_change_places(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "q.jsonl", [{"question": "b or c?", "choices": ["b", "c"], "answer": 1, "x": 0}]
    )
    (row,) = data(key(tmp_path, Spec("q.jsonl", columns={"answer": "x", "x": "answer"})))
    assert (row["answer"], row["x"]) == (0, 1)
