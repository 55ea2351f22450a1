import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygen.config.document import dump_text, parse_text
from raygen.core.row import ColumnType
from raygen.core.task import Task
from raygen.ops.base import Columns, Op
from raygen.ops.registry import all_ops
from raygen.planning.plan import PLAN_VERSION, Plan, make_plan
from raygen.recipe.load import load_recipe
from raygen.recipe.profile import load_profile
from tests.support.toy_ops import ASK, KEEP, OPS, AskParams, ask_columns

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
description: words
params: {n: {type: int, default: 2}, where_to: {type: str, default: out}}
source: {path: x.jsonl}
task: multiple_choice
engines:
  t: {model: m, revision: abc}
"""
GRAPH = """\
graph:
  a: {op: ask, from: source, engine: t, n: "${n}"}
  b: {op: keep, from: a, needs: [reply]}
output: {from: b, path: "${where_to}"}
"""


def plan_of(
    folder: Path,
    text: str,
    overrides: dict[str, str] | None = None,
    columns: Mapping[str, ColumnType] | None = None,
    ops: Mapping[str, Op] = OPS,
) -> Plan:
    path = folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return make_plan(load_recipe(path, overrides), SOURCE if columns is None else columns, ops)


def test_a_plan_has_nodes_in_order_and_the_columns_of_its_examples(tmp_path: Path) -> None:
    graph = """\
graph:
  c: {op: keep, from: [b, a]}
  b: {op: ask, from: a, engine: t, into: more, type: number}
  a: {op: ask, from: source, engine: t}
output: {from: [c, b], path: out, max_failed: 0.2}
"""
    plan = plan_of(tmp_path, HEAD + graph)
    assert [node.name for node in plan.nodes] == ["a", "b", "c"]
    assert [node.inputs for node in plan.nodes] == [("source",), ("a",), ("b", "a")]
    assert plan.nodes[0].reads == ("question",)
    assert plan.nodes[1].adds == {"more": "number"}
    assert plan.nodes[1].engine == "t"
    assert isinstance(plan.nodes[0].params, AskParams)
    assert plan.outputs == ("c", "b")
    assert plan.max_failed == 0.2
    assert plan.engines["t"].revision == "abc"
    # The task's types, and no `id`: examples have their own.
    assert plan.columns == {
        "question": "string",
        "choices": "strings",
        "answer": "integer",
        "topic": "string",
        "reply": "string",
        "more": "number",
    }


def test_a_plan_is_written_with_its_version_and_what_nodes_read_and_add(tmp_path: Path) -> None:
    written = plan_of(tmp_path, HEAD + GRAPH).to_json()
    assert written["version"] == PLAN_VERSION
    assert len(written["nodes"][0].pop("identity")) == 32
    assert written["nodes"][0] == {
        "name": "a",
        "op": "ask",
        "op_version": 1,
        "from": ["source"],
        "engine": "t",
        "params": {
            "prompt": "{{ question }}",
            "into": "reply",
            "type": "string",
            "label": "hidden",
            "n": 2,
        },
        "reads": ["question"],
        "adds": {"reply": "string"},
        "reports": [],
    }
    assert written["outputs"] == ["b"]
    assert parse_text(dump_text(written), "f").data == written


@pytest.mark.parametrize(
    "overrides",
    [
        {"where_to": "elsewhere"},
        {"output.rows": "5"},
        {"output.max_failed": "1"},
        {"source.limit": "3"},
        {"description": "other"},
        {"recipe": "renamed"},
        {"engines.t.backend": "fake"},
        {"engines.t.gpus": "2"},
        {"engines.t.args.x": "2"},
        {"engines.t.price": "{input: 1, output: 1}"},
        {"train": "{model: x}"},
        {"output.from": "[b]"},
        {"graph.a.label": "hidden"},
    ],
)
def test_what_does_not_change_the_dataset_leaves_the_hash(
    tmp_path: Path, overrides: dict[str, str]
) -> None:
    known = plan_of(tmp_path, HEAD + GRAPH)
    assert plan_of(tmp_path, HEAD + GRAPH, overrides).hash == known.hash


@pytest.mark.parametrize(
    "overrides",
    [
        {"n": "3"},
        {"source.path": "y"},
        {"source.sample": "{n: 3}"},
        {"source.deduplicate": "[question]"},
        {"source.deduplicate": "{on: [question], near: 0.9}"},
        {"source.columns.topic": "t"},
        {"engines.t.model": "other"},
        {"engines.t.revision": "other"},
        {"graph.a.prompt": "{{ question }}?"},
        {"output.from": "[b, a]"},
    ],
)
def test_what_changes_the_dataset_changes_the_hash(
    tmp_path: Path, overrides: dict[str, str]
) -> None:
    known = plan_of(tmp_path, HEAD + GRAPH)
    assert plan_of(tmp_path, HEAD + GRAPH, overrides).hash != known.hash


def test_the_hash_knows_op_versions_prompts_and_tasks(tmp_path: Path) -> None:
    known = plan_of(tmp_path, HEAD + GRAPH).hash
    newer = {**OPS, "keep": replace(KEEP, version=2)}
    assert plan_of(tmp_path, HEAD + GRAPH, ops=newer).hash != known

    def other_prompt(params: AskParams, task: Task) -> Columns:
        return replace(ask_columns(params, task), templates={"prompt": "a new default"})

    reworded = {**OPS, "ask": replace(ASK, columns=other_prompt)}
    assert plan_of(tmp_path, HEAD + GRAPH, ops=reworded).hash != known
    text = (HEAD + GRAPH).replace("multiple_choice", "free_text")
    assert plan_of(tmp_path, text).hash != known


def test_a_profile_changes_engines_and_not_the_hash(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text('profile: p\nengines: {"*": {backend: fake, gpus: 3}}\n')
    (tmp_path / "r.yaml").write_text(HEAD + GRAPH)
    profile = load_profile(tmp_path / "p.yaml")
    plan = make_plan(load_recipe(tmp_path / "r.yaml", profile=profile), SOURCE, OPS)
    assert (plan.engines["t"].backend, plan.engines["t"].gpus) == ("fake", 3)
    assert plan.hash == plan_of(tmp_path, HEAD + GRAPH).hash


def test_a_frozen_recipe_has_the_same_plan(tmp_path: Path) -> None:
    (tmp_path / "p.j2").write_text("{{ question }} for ${n}\n\n  indented\n")
    text = HEAD + GRAPH.replace("engine: t,", "engine: t, prompt: {file: p.j2},")
    plan = plan_of(tmp_path, text, {"n": "9"})
    frozen = load_recipe(tmp_path / "r.yaml", {"n": "9"}).frozen()
    (tmp_path / "p.j2").unlink()
    assert plan_of(tmp_path, frozen).to_json() == plan.to_json()


def shuffled(value: Any, draw: st.DrawFn) -> Any:
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return {key: shuffled(value[key], draw) for key in keys}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_the_order_of_keys_changes_no_hash(tmp_path: Path, data: st.DataObject) -> None:
    written = parse_text(HEAD + GRAPH, "f").data
    columns = dict(data.draw(st.permutations(list(SOURCE.items()))))
    text = dump_text(data.draw(st.composite(lambda draw: shuffled(written, draw))()))
    plan = plan_of(tmp_path, text, columns=columns)
    assert plan.hash == plan_of(tmp_path, HEAD + GRAPH).hash


def test_the_built_in_ops_plan(tmp_path: Path) -> None:
    (tmp_path / "demos.jsonl").write_text(
        '{"question": "q", "choices": ["a", "b"], "answer": "a", "rationale": "r"}\n'
    )
    graph = """\
graph:
  a: {op: sample_rationales, from: source, engine: t, demonstrations: {file: demos.jsonl}}
  b: {op: map, from: a, set: {length: {expr: rationale | length, type: integer}, up: topic}}
  c: {op: filter, from: b, where: length > 3 and predicted == answer}
output: {from: c, path: out}
"""
    plan = plan_of(tmp_path, HEAD + graph, ops=all_ops())
    assert plan.columns["length"] == "integer"
    assert plan.columns["up"] == "string"
    assert plan.nodes[2].reads == ("answer", "length", "predicted")
    assert plan.to_json()["nodes"][0]["params"]["demonstrations"][0]["rationale"] == "r"


def test_planning_imports_nothing_heavy_and_hashes_alike_in_another_process(
    tmp_path: Path,
) -> None:
    graph = GRAPH.replace("op: ask", "op: sample_rationales").replace(
        "op: keep, from: a, needs: [reply]", "op: filter, from: a, where: label == answer"
    )
    plan = plan_of(tmp_path, HEAD + graph, ops=all_ops())
    code = (
        "import sys; from pathlib import Path; "
        "from raygen.recipe import load_recipe; from raygen.planning import make_plan; "
        f"plan = make_plan(load_recipe(Path({str(tmp_path / 'r.yaml')!r})), {SOURCE!r}); "
        "heavy = {'torch', 'ray', 'vllm', 'pyarrow', 'polars', 'deltalake', 'transformers'}; "
        "print(plan.hash, sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert done.stdout.strip() == f"{plan.hash} []"
