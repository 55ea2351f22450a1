import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygen.document import ProblemsError, dump_text, parse_text
from raygen.ops.base import Columns, Context, Op, OpParams
from raygen.ops.registry import all_ops
from raygen.plan import PLAN_VERSION, Plan, make_plan
from raygen.profile import load_profile
from raygen.recipe import load_recipe
from raygen.row import ColumnType, Reject, Row
from raygen.task import Task

SOURCE: dict[str, ColumnType] = {
    "question": "string",
    "choices": "json",
    "answer": "string",
    "id": "integer",
    "topic": "string",
}


class AskParams(OpParams):
    """Asks."""

    prompt: str = "{{ question }}"
    into: str = "reply"
    type: ColumnType = "string"
    label: Literal["shown", "hidden"] = "hidden"
    n: int = 1


class KeepParams(OpParams):
    """Keeps."""

    needs: tuple[str, ...] = ()
    where: str = "true"


async def run(row: Row, params: Any, ctx: Context) -> Sequence[Row | Reject]:
    return [row]


def ask_columns(params: AskParams, task: Task) -> Columns:
    return Columns(
        provides={params.into: params.type},
        hides=frozenset({"answer"}) if params.label == "hidden" else frozenset(),
        given=frozenset({"demonstrations"}),
        templates={"prompt": params.prompt},
    )


def keep_columns(params: KeepParams, task: Task) -> Columns:
    where = "{{ " + params.where + " }}"
    return Columns(requires=frozenset(params.needs), templates={"where": where})


ASK = Op("ask", 1, AskParams, run, ask_columns, needs_engine=True)
KEEP = Op("keep", 1, KeepParams, run, keep_columns)
OPS: Mapping[str, Op] = {"ask": ASK, "keep": KEEP}

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


def problems_of(folder: Path, graph: str, head: str = HEAD) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        plan_of(folder, head + graph)
    return [str(p).split("r.yaml:", 1)[1] for p in caught.value.problems]


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
    }
    assert written["outputs"] == ["b"]
    assert parse_text(dump_text(written), "f").data == written


def test_names_that_do_not_resolve_are_all_reported(tmp_path: Path) -> None:
    graph = """\
graph:
  first: {op: aks, from: source, engine: t}
  second: {op: ask, from: [source, frist], engine: tt}
  third: {op: ask, from: source}
  fourth: {op: keep, from: source, engine: t, need: [x]}
  fifth: {op: keep, from: [source, source]}
output: {from: [second, fith], path: out}
"""
    assert problems_of(tmp_path, graph) == [
        "10:11: unknown op 'aks'; did you mean 'ask'?",
        "11:36: there is no node 'frist'; did you mean 'first'?",
        "11:44: there is no engine 'tt'; did you mean 't'?",
        "12:3: op 'ask' needs an `engine`; expected one of: t",
        "13:36: op 'keep' uses no engine; remove `engine`",
        "13:47: unknown key 'need'; did you mean 'needs'?",
        "14:36: 'source' is named twice",
        "15:25: there is no node 'fith'; did you mean 'fifth'?",
    ]


def test_cycles_are_named_in_full(tmp_path: Path) -> None:
    graph = """\
graph:
  a: {op: keep, from: c}
  b: {op: keep, from: [source, a]}
  c: {op: keep, from: b}
  d: {op: keep, from: d}
  e: {op: ask, from: source, engine: t}
output: {from: [c, d, e], path: out}
"""
    assert problems_of(tmp_path, graph) == [
        "10:17: these nodes feed each other in a circle: a -> b -> c -> a",
        "13:17: these nodes feed each other in a circle: d -> d",
    ]


def test_unused_nodes_and_engines_are_refused(tmp_path: Path) -> None:
    graph = """\
graph:
  a: {op: keep, from: source}
  b: {op: keep, from: a}
  c: {op: keep, from: b}
output: {from: a, path: out}
"""
    assert problems_of(tmp_path, graph) == [
        "8:3: engine 't' is used by no node; remove it, or name it in a node",
        "11:3: node 'b' leads to no output; name it in output.from, or remove it",
        "12:3: node 'c' leads to no output; name it in output.from, or remove it",
    ]


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
        "10:41: prompt reads 'qestion', which is not there; did you mean 'question'?",
        (
            "11:3: node 'b' needs column 'reply', which is not there (there are answer, choices, "
            "question, topic); 'a' would have it"
        ),
        "12:26: where reads 'repply', which is not there; did you mean 'reply'?",
        (
            "13:36: prompt reads 'answer', which node 'd' hides: the target would leak into the "
            "prompt; take it out of the template"
        ),
        (
            "15:26: where reads 'id', a name that the dataset keeps for itself; give the source's "
            "column another one: source.columns: {source_id: id}"
        ),
        "16:3: op 'ask' can't set 'plan': examples have their own",
        (
            "16:36: prompt: line 1 of the template: unexpected end of template, "
            "expected 'end of print statement'."
        ),
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
            "12:17: column 'x' is of type string from 'a' and of type number from 'b'; "
            "expected one type from all inputs"
        ),
        (
            "13:10: column 'x' is of type string from 'a' and of type number from 'b'; "
            "expected one type in all outputs"
        ),
    ]


def test_the_tasks_columns_must_be_in_the_source(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError) as caught:
        plan_of(tmp_path, HEAD + GRAPH, columns={"Question": "string", "choices": "strings"})
    assert [str(p).split("r.yaml:", 1)[1] for p in caught.value.problems] == [
        (
            "5:1: task multiple_choice needs column 'answer', which the source doesn't have "
            "(it has Question, choices); map it: columns: {answer: ...}"
        ),
        (
            "5:1: task multiple_choice needs column 'question', which the source doesn't have "
            "(it has Question, choices); map it: columns: {question: Question}"
        ),
    ]


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


node_names = st.sampled_from(["a", "b", "c", "d"])
node = st.fixed_dictionaries(
    {
        "op": st.just("keep"),
        "from": st.lists(st.sampled_from(["source", "a", "b", "c", "d"]), min_size=1, max_size=3),
    }
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(node_names, node, min_size=1), st.lists(node_names, min_size=1, max_size=3))
def test_any_graph_is_ordered_or_refused(
    tmp_path: Path, graph: dict[str, Any], outputs: list[str]
) -> None:
    written = {
        **parse_text(HEAD, "f").data,
        "engines": {},
        "graph": graph,
        "output": {"from": outputs, "path": "out"},
    }
    try:
        outcome: Plan | ProblemsError = plan_of(tmp_path, dump_text(written))
    except ProblemsError as error:
        outcome = error
    if isinstance(outcome, ProblemsError):
        assert outcome.problems
        return
    seen = {"source"}
    for each in outcome.nodes:
        assert set(each.inputs) <= seen
        seen.add(each.name)
    assert seen - {"source"} == set(graph)


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
        "from raygen.recipe import load_recipe; from raygen.plan import make_plan; "
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
