"""Whatever stands in a recipe, a profile, a student's file or a template: problems with places."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from raygen.config.document import ProblemsError, dump_text, load_document, parse_text
from raygen.core import json_text
from raygen.core.errors import UserError
from raygen.core.template import (
    TemplateError,
    evaluate_expression,
    expression_as_template,
    render,
    template_fields,
)
from raygen.planning.preparation import RecipeRequest, prepare
from streamtrain.config.student import override, parse_config
from tests.fuzz.cases import cases
from tests.fuzz.strategies import anything, damaged, hostile, values

ROOT = Path(__file__).parents[2]

RECIPE: dict[str, Any] = {
    "recipe": "fuzz",
    "version": 1,
    "params": {"teacher": {"type": "str", "default": "fake"}, "n": {"type": "int", "default": 2}},
    "source": {"path": "source.jsonl", "sample": {"n": 1, "seed": 1}, "columns": {"note": "id"}},
    "task": "multiple_choice",
    "engines": {
        "teacher": {
            "model": "${teacher}",
            "backend": "fake",
            "price": {"input": 1, "output": 2},
            "args": {"answers": ["So the answer is (a)."]},
        }
    },
    "graph": {
        "rationales": {
            "op": "sample_rationales", "from": "source", "engine": "teacher", "n": "${n}",
            "prompt": "{{ question }} {{ options }}",
        },
        "correct": {"op": "filter", "from": "rationales", "where": "predicted == answer"},
        "named": {"op": "map", "from": "correct", "set": {"words": "rationale | length"}},
        "judged": {
            "op": "judge", "from": "named", "engine": "teacher", "rubric": "good",
            "show": ["question", "rationale"],
        },
    },
    "output": {"from": ["judged"], "path": "out", "rows": 5, "max_failed": 0.1},
    "variants": {"more": {"n": 3}},
}  # fmt: skip
PROFILE: dict[str, Any] = {
    "profile": "fuzz",
    "replicas": {"min": 1, "max": 2},
    "concurrency": 8,
    "engines": {"teacher": {"gpus": 0, "args": {"latency": 0.5}}, "*": {"price": None}},
    "train": {"workers": 1},
}
STUDENT: dict[str, Any] = {
    "student": "fuzz",
    "version": 1,
    "model": "bundled:smollm2-135m-instruct",
    "kind": "causal",
    "tune": {"method": "lora", "r": 8, "targets": ["q_proj"]},
    "data": {
        "rationale": "before",
        "input": "Q: {{ question }}\n{% for c in choices %}({{ letters[loop.index0] }}) {{ c }} "
        "{% endfor %}",
        "pack": False,
        "rationales": {"per_question": "all"},
    },
    "objective": {"loss": "lm", "weights": {"rationale": 1.0, "label": 1.0}},
    "optim": {"lr": 1e-4, "batch": 8, "max_steps": 10},
    "stream": {"starved": "replay", "reuse": 2, "shuffle": 64, "seed": 3},
    "evaluate": {"report": "held.jsonl", "select": "select.jsonl", "every": 10, "patience": 2},
    "log": ["tensorboard"],
}

source_texts = st.one_of(
    hostile,
    st.text(alphabet="ab:-[]{}&*!#|>'\"%@`\t\n ,<~0.e?", max_size=80),
    st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")),
)


def check(error: ProblemsError, file: str | None = None) -> None:
    assert error.problems
    for problem in error.problems:
        assert problem.line >= 1
        assert problem.column >= 1
        assert problem.message.strip()
        assert file is None or problem.file == file


def cut(draw: st.DrawFn, text: str) -> str:
    """A text with a part of it gone, doubled, or replaced by another."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 40)))
    return text[:start] + draw(st.one_of(st.just(""), source_texts)) + text[end:]


@cache
def texts_here() -> list[str]:
    """The recipes, profiles and students of the repository."""
    return [path.read_text() for path in sorted((ROOT / "recipes").rglob("*.yaml"))]


broken_texts = st.composite(lambda draw: cut(draw, draw(st.sampled_from(texts_here()))))()


@cases("yaml", st.one_of(source_texts, broken_texts), weight=1.5, sample=45, vary=(0,))
def test_any_text_as_yaml(text: str) -> None:
    try:
        document = parse_text(text, "f.yaml")
    except ProblemsError as error:
        check(error, "f.yaml")
    else:
        json.dumps(document.data)
        assert document.data is None or parse_text(dump_text(document.data), "f").data is not None


@cases(
    "yaml",
    st.one_of(
        st.binary(max_size=80), broken_texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
    ),
    weight=0.5,
    sample=15,
    vary=(0,),
)
def test_any_bytes_as_a_document(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    try:
        load_document(path)
    except ProblemsError as error:
        check(error, str(path))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    rows = [{"question": "Why?", "choices": ["a b", "c d"], "answer": 1, "id": "x"}] * 2
    (tmp_path / "source.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "recipe.yaml").write_text(dump_text(RECIPE))
    return tmp_path


def writable(data: Any) -> str:
    """Damaged data as YAML in JSON's form, which is written 20 times as fast.

    What no YAML can hold stays for the other properties.
    """
    return json_text(data).encode("utf-8", "replace").decode()


def prepared(reference: RecipeRequest) -> None:
    try:
        plan = prepare(reference).plan
    except ProblemsError as error:
        check(error)
    except UserError as error:
        assert str(error)
    else:
        assert plan.nodes


@cases(
    "recipes",
    damaged(
        RECIPE, values | hostile | st.sampled_from(["${n}", "${nope}", "source", "${env:HOME}"])
    ),
    vary=(0,),
)
def test_any_damage_to_a_recipe(project: Path, data: Any) -> None:
    (project / "damaged.yaml").write_text(writable(data))
    prepared(RecipeRequest(project / "damaged.yaml"))


@cases("recipes", damaged(PROFILE), weight=0.5, sample=15, vary=(0,))
def test_any_damage_to_a_profile(project: Path, data: Any) -> None:
    (project / "profile.yaml").write_text(writable(data))
    prepared(RecipeRequest(project / "recipe.yaml", profile=project / "profile.yaml"))


paths = st.sampled_from(
    ["n", "params.n", "graph.rationales.n", "source", "graph.correct.where", "output.path", "a.b"]
)


@cases(
    "recipes", paths | anything, st.one_of(hostile, values.map(json.dumps)), weight=0.5, sample=15,
    vary=(1,),
)  # fmt: skip
def test_any_setting_of_a_recipe(project: Path, key: str, value: str) -> None:
    prepared(RecipeRequest(project / "recipe.yaml", {key: value}))


@cases("students", damaged(STUDENT), weight=1.5, sample=45, vary=(0,))
def test_any_damage_to_a_student(data: Any) -> None:
    try:
        config = parse_config(parse_text(writable(data), "student.yaml"))
    except ProblemsError as error:
        check(error, "student.yaml")
    else:
        assert config.student


@cases("students", anything | paths, hostile, weight=0.5, sample=15, vary=(1,))
def test_any_setting_of_a_student(key: str, value: str) -> None:
    document = parse_text(dump_text(STUDENT), "student.yaml")
    try:
        parse_config(override(document, [f"{key}={value}"]))
    except ProblemsError as error:
        check(error)


parts = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "{{", "}}", "{%", "%}", "question", "choices", " for c in ", " endfor ", " if ",
                " endif ",
                "|", "upper", "join", "attr", "(", ")", "[", "]", ".", "__class__", "range(9)",
                "'a'",
                "*", "**", "9", "99999", "~", "set x = ", "x", " macro f() ", " endmacro ", "loop",
                " is ", "in", "==", ",", "format", "sort", "map", "{", "}", ":", "not ", " else ",
                "-",
            ]
        ),
        anything,
    ),
    max_size=14,
)  # fmt: skip
FIELDS = {"question": "Why?", "choices": ["a b", "c"], "answer": 1}


@cases(
    "templates",
    st.one_of(parts.map("".join), parts.map(lambda p: "{{ " + "".join(p) + " }}"), hostile),
    weight=1.5,
    sample=45,
    vary=(0,),
)
def test_any_template(text: str) -> None:
    try:
        template_fields(text)
        assert isinstance(render(text, FIELDS), str)
    except TemplateError as error:
        assert str(error)


@cases("templates", st.one_of(parts.map("".join), hostile), vary=(0,))
def test_any_expression(text: str) -> None:
    try:
        template_fields(expression_as_template(text))
        assert not hasattr(evaluate_expression(text, FIELDS), "__globals__")
    except TemplateError as error:
        assert str(error)
