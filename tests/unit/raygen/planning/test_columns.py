from pathlib import Path

import pytest

from raygen.config.document import ProblemsError
from raygen.core.row import ColumnType
from raygen.planning.plan import make_plan
from raygen.recipe.load import load_recipe
from tests.support.toy_ops import OPS

SOURCE: dict[str, ColumnType] = {
    "question": "string",
    "choices": "json",
    "answer": "string",
    "id": "integer",
    "topic": "string",
}

HEAD = """\
recipe: r
version: 1
source: {path: x.jsonl}
task: multiple_choice
engines:
  t: {model: m}
"""


def problems_of(folder: Path, graph: str, columns: dict[str, ColumnType] = SOURCE) -> list[str]:
    path = folder / "r.yaml"
    path.write_text(HEAD + graph, encoding="utf-8")
    with pytest.raises(ProblemsError) as caught:
        make_plan(load_recipe(path), columns, OPS)
    return [str(p).split("r.yaml:", 1)[1] for p in caught.value.problems]


def test_columns_are_checked_along_the_graph(tmp_path: Path) -> None:
    graph = """\
graph:
  a: {op: ask, from: source, engine: t, prompt: "{{ demonstrations }}{{ qestion }}"}
  b: {op: keep, from: [a, source], needs: [reply]}
  c: {op: keep, from: a, where: "repply"}
  d: {op: ask, from: a, engine: t, prompt: "{% if answer %}{{ topic }}{% endif %}"}
  e: {op: ask, from: a, engine: t, prompt: "{{ answer }}", label: shown}
  f: {op: keep, from: a, where: "id > 3"}
  g: {op: ask, from: a, engine: t, prompt: "{{ x", into: plan}
output: {from: [b, c, d, e, f, g], path: out}
"""
    assert problems_of(tmp_path, graph) == [
        "8:41: prompt reads 'qestion', which is not there; did you mean 'question'?",
        (
            "9:3: node 'b' needs column 'reply', which is not there (there are answer, choices, "
            "question, topic); 'a' would have it"
        ),
        "10:26: where reads 'repply', which is not there; did you mean 'reply'?",
        (
            "11:36: prompt reads 'answer', which node 'd' hides: the target would leak into the "
            "prompt; take it out of the template"
        ),
        (
            "13:26: where reads 'id', a name that the dataset keeps for itself; give the source's "
            "column another one: source.columns: {source_id: id}"
        ),
        "14:3: op 'ask' can't set 'plan': examples have their own",
        (
            "14:36: prompt: line 1 of the template: unexpected end of template, "
            "expected 'end of print statement'."
        ),
    ]


def test_a_column_of_one_input_goes_along_to_the_examples(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        HEAD
        + """\
graph:
  a: {op: ask, from: source, engine: t, into: x, type: number}
  b: {op: keep, from: [source, a]}
  c: {op: keep, from: b}
output: {from: c, path: out}
"""
    )
    plan = make_plan(load_recipe(path), SOURCE, OPS)
    assert plan.columns["x"] == "number"


def test_types_must_agree_even_where_an_input_lacks_the_column(tmp_path: Path) -> None:
    graph = """\
graph:
  a: {op: ask, from: source, engine: t, into: x, type: string}
  b: {op: ask, from: source, engine: t, into: x, type: number}
  c: {op: keep, from: [source, a, b]}
output: {from: c, path: out}
"""
    assert problems_of(tmp_path, graph) == [
        (
            "10:17: column 'x' is of type string from 'a' and of type number from 'b'; "
            "expected one type from all inputs"
        )
    ]


def test_types_must_agree_where_rows_meet(tmp_path: Path) -> None:
    graph = """\
graph:
  a: {op: ask, from: source, engine: t, into: x, type: string}
  b: {op: ask, from: source, engine: t, into: x, type: number}
  c: {op: keep, from: [a, b]}
output: {from: [a, b, c], path: out}
"""
    assert problems_of(tmp_path, graph) == [
        (
            "10:17: column 'x' is of type string from 'a' and of type number from 'b'; "
            "expected one type from all inputs"
        ),
        (
            "11:10: column 'x' is of type string from 'a' and of type number from 'b'; "
            "expected one type in all outputs"
        ),
    ]


def test_the_tasks_columns_must_be_in_the_source(tmp_path: Path) -> None:
    graph = """\
graph:
  a: {op: ask, from: source, engine: t}
output: {from: a, path: out}
"""
    columns: dict[str, ColumnType] = {"Question": "string", "choices": "strings"}
    assert problems_of(tmp_path, graph, columns) == [
        (
            "3:1: task multiple_choice needs column 'answer', which the source doesn't have "
            "(it has Question, choices); map it: columns: {answer: ...}"
        ),
        (
            "3:1: task multiple_choice needs column 'question', which the source doesn't have "
            "(it has Question, choices); map it: columns: {question: Question}"
        ),
    ]
