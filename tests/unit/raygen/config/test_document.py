from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from raygen.config.document import (
    Document,
    Problem,
    ProblemsError,
    dump_text,
    load_document,
    nearest,
    parse_model,
    parse_text,
)


class Optim(BaseModel):
    model_config = ConfigDict(extra="forbid")
    lr: float = 1e-4
    batch: int = Field(8, ge=1)
    betas: tuple[float, float] = (0.9, 0.99)


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    kind: Literal["causal", "classifier"] = "causal"
    optim: Optim = Optim()
    engines: dict[str, Optim] = Field(default_factory=dict)
    origin: str | list[str] = Field("x", alias="from")


def problems_of(text: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        parse_model(parse_text(text, "f"), Config)
    return [str(p) for p in caught.value.problems]


def line_and_column(document: Document, path: tuple[str | int, ...]) -> tuple[int, int]:
    mark = document.mark(path)
    return mark.line, mark.column


def test_positions_are_those_of_keys_entries_and_existing_parents() -> None:
    document = parse_text("a: 1\nb:\n  - x\n  - {c: 2}\n", "f.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": 2}]}
    assert line_and_column(document, ("b",)) == (2, 1)
    assert line_and_column(document, ("b", 1, "c")) == (4, 6)
    assert line_and_column(document, ("b", 1, "zzz", "y")) == (4, 5)
    section = document.section(("b", 1))
    assert section.data == {"c": 2}
    assert line_and_column(section, ("c",)) == (4, 6)
    assert line_and_column(section, ()) == (4, 5)


def test_scalars_follow_yaml_1_2() -> None:
    text = "[yes, no, on, 2024-01-01, 1:30, 3e-5, .5, 012, null, ~, true, 1_000, .inf]"
    assert parse_text(text, "f").data == [
        *("yes", "no", "on", "2024-01-01", "1:30"),
        *(3e-5, 0.5, 12, None, None, True, "1_000", ".inf"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\na: 2\n", 2, 1, "duplicate key 'a', first on line 1"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, 4, "tag"),
        ("a: !mine x\n", 1, 4, "tag '!mine' is not allowed"),
        ("a: 1\nb:\n\tc: 2\n", 3, 1, "a tab indents this line; use spaces"),
        ("a: [1\nb: 2\n", 2, 2, "not valid YAML"),
        ("1: x\n", 1, 1, "a key must be a text; put it in quotes"),
        ("b: &b {x: 1}\na: {<<: *b}\n", 2, 5, "merge keys"),
        ("a: &a [*a]\n", 1, 4, "an alias stands inside what it names"),
        ("a: 1\n---\nb: 2\n", 2, 1, "expected a single document"),
        ("a: *b\n", 1, 4, "undefined alias"),
        ("a: \x07\n", 1, 4, "U+0007"),
        ("a: 1e999\n", 1, 4, "too large"),
        (f"a: {'9' * 5000}\n", 1, 4, "too large"),
        ("a: " + "[" * 5000, 1, 63, "nested more than 60 levels deep"),
    ],
)
def test_what_is_not_plain_data_is_a_problem(
    text: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(ProblemsError) as caught:
        parse_text(text, "f.yaml")
    problem = caught.value.problems[0]
    assert (problem.file, problem.line, problem.column) == ("f.yaml", line, column)
    assert message in problem.message


def test_aliases_that_unfold_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygen.config.yaml_text._MAX_NODES", 1000)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(ProblemsError, match="unfold to"):
        parse_text("\n".join(lines), "f")


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "x" * 10_000_001,
        "a: &a " + "x" * 1_000_000 + "\nb: [" + ", ".join(["*a"] * 1000) + "]",
        "a: &a {k: " + "x" * 100_000 + "}\nb: [" + ", ".join(["*a"] * 1000) + "]",
    ],
    ids=["long", "repeated", "repeated within"],
)
def test_texts_without_end_are_refused(text: str) -> None:
    with pytest.raises(ProblemsError, match="expected at most 10000000"):
        parse_text(text, "f")


def test_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygen.config.yaml_text._MAX_NODES", 100)
    with pytest.raises(ProblemsError, match="f:1:201: more than 100 entries"):
        parse_text("a: [" + "1," * 150 + "]", "f")


@pytest.mark.slow
def test_a_hundred_thousand_entries_are_many() -> None:
    with pytest.raises(ProblemsError, match="f:1:200001: more than 100000 entries"):
        parse_text("a: [" + "1," * 150_000 + "]", "f")


def test_of_a_file_without_end_only_so_much_is_read() -> None:
    with pytest.raises(ProblemsError, match="expected at most 10000000"):
        load_document(Path("/dev/zero"))


def test_several_problems_of_one_text_come_at_once() -> None:
    with pytest.raises(ProblemsError) as caught:
        parse_text("a: 1\na: 2\nb: !x y\n3: 4\n", "f")
    assert [p.line for p in caught.value.problems] == [2, 3, 4]


def test_files_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    with pytest.raises(ProblemsError, match="no such file"):
        load_document(missing)
    with pytest.raises(ProblemsError, match="can't be read"):
        load_document(tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: 1\nb: caf\xe9\n".encode("latin-1"))
    with pytest.raises(ProblemsError) as caught:
        load_document(latin)
    assert str(caught.value) == f"{latin}:2:7: byte 0xe9 is not UTF-8; save the file as UTF-8"


def test_a_model_is_read_by_alias_and_without_conversions() -> None:
    config = parse_model(parse_text("name: x\nfrom: [a]\noptim: {lr: 1}", "f"), Config)
    assert (config.name, config.origin, config.optim.lr) == ("x", ["a"], 1.0)


def test_all_problems_of_a_model_come_at_once_with_found_and_expected() -> None:
    text = (
        "kind: clasifier\n"
        "from: 3\n"
        "optim:\n"
        "  learning: 1\n"
        "  Batch: 2\n"
        '  lr: "5"\n'
        "  betas: [0.9, true]\n"
        "engines:\n"
        "  teacher: {batch: 0, btch: 1}\n"
        "  other: 5\n"
    )
    assert problems_of(text) == [
        "f:1:1: key 'name' is missing",
        (
            "f:1:1: kind: found the text 'clasifier', expected 'causal' or 'classifier'; "
            "did you mean 'classifier'?"
        ),
        "f:2:1: from: found 3, expected a text or a list",
        "f:4:3: unknown key 'learning'; expected one of: batch, betas, lr",
        "f:5:3: unknown key 'Batch'; did you mean 'batch'?",
        "f:6:3: lr: found the text '5', expected a number",
        "f:7:16: found true, expected a number",
        "f:9:13: batch: found 0, expected at least 1",
        "f:9:23: unknown key 'btch'; did you mean 'batch'?",
        "f:10:3: other: found 5, expected a mapping",
    ]


def test_a_document_that_is_no_mapping_says_so() -> None:
    assert problems_of("") == ["f:1:1: found nothing, expected a mapping"]
    assert problems_of("- 1\n") == ["f:1:1: found a list of 1, expected a mapping"]


def test_nearest_ignores_case_and_dashes_and_gives_up_when_far() -> None:
    assert nearest("Max-Tokens", ["max_tokens", "n"]) == "max_tokens"
    assert nearest("temprature", ["temperature", "top_p"]) == "temperature"
    assert nearest("zebra", ["max_tokens"]) is None


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.sampled_from(["yes", "1e5", "1e-5", "<<", "=", "null", "012", "a\nb", "\n x", "  y\n\n"])
)
data = st.recursive(
    scalars, lambda c: st.lists(c, max_size=4) | st.dictionaries(texts, c, max_size=4)
)


@given(data)
def test_what_is_dumped_reads_back_equal(value: Any) -> None:
    reparsed = parse_text(dump_text(value), "f").data
    assert reparsed == value
    assert repr(reparsed) == repr(value)


@given(st.text(alphabet="ab:-[]{}&*!#|>'\"%@`\t\n ,<~0.e", max_size=60) | st.text(max_size=40))
def test_any_text_is_a_document_or_problems(text: str) -> None:
    try:
        outcome: Document | list[Problem] = parse_text(text, "f")
    except ProblemsError as error:
        outcome = error.problems
    if isinstance(outcome, Document):
        assert outcome.data is None or outcome.marks[()].line >= 1
    else:
        assert outcome
        assert all(p.line >= 1 and p.column >= 1 for p in outcome)


@given(data)
def test_python_tags_never_construct(value: Any) -> None:
    text = yaml.dump({"a": (1, value)})
    with pytest.raises(ProblemsError, match="python/tuple"):
        parse_text(text, "f")
