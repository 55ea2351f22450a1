from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from raygen.config.document import dump_text, parse_text
from raygen.recipe.graph import resolve_graph
from tests.support.toy_ops import OPS

HEAD = """\
recipe: r
version: 1
source: {path: x.jsonl}
task: multiple_choice
engines:
  t: {model: m}
"""


def problems_of(text: str) -> list[str]:
    problems = resolve_graph(parse_text(HEAD + text, "f"), OPS).problems
    return [str(p).removeprefix("f:") for p in sorted(problems)]


def test_names_that_do_not_resolve_are_all_reported() -> None:
    graph = """\
graph:
  first: {op: aks, from: source, engine: t}
  second: {op: ask, from: [source, frist], engine: tt}
  third: {op: ask, from: source}
  fourth: {op: keep, from: source, engine: t, need: [x]}
  fifth: {op: keep, from: [source, source]}
output: {from: [second, fith], path: out}
"""
    assert problems_of(graph) == [
        "8:11: unknown op 'aks'; did you mean 'ask'?",
        "9:36: there is no node 'frist'; did you mean 'first'?",
        "9:44: there is no engine 'tt'; did you mean 't'?",
        "10:3: op 'ask' needs an `engine`; expected one of: t",
        "11:36: op 'keep' uses no engine; remove `engine`",
        "11:47: unknown key 'need'; did you mean 'needs'?",
        "12:36: 'source' is named twice",
        "13:25: there is no node 'fith'; did you mean 'fifth'?",
    ]


def test_cycles_are_named_in_full() -> None:
    graph = """\
graph:
  a: {op: keep, from: c}
  b: {op: keep, from: [source, a]}
  c: {op: keep, from: b}
  d: {op: keep, from: d}
  e: {op: ask, from: source, engine: t}
output: {from: [c, d, e], path: out}
"""
    assert problems_of(graph) == [
        "8:17: these nodes feed each other in a circle: a -> b -> c -> a",
        "11:17: these nodes feed each other in a circle: d -> d",
    ]


def test_unused_nodes_and_engines_are_refused() -> None:
    graph = """\
graph:
  a: {op: keep, from: source}
  b: {op: keep, from: a}
  c: {op: keep, from: b}
output: {from: a, path: out}
"""
    assert problems_of(graph) == [
        "6:3: engine 't' is used by no node; remove it, or name it in a node",
        "9:3: node 'b' leads to no output; name it in output.from, or remove it",
        "10:3: node 'c' leads to no output; name it in output.from, or remove it",
    ]


node_names = st.sampled_from(["a", "b", "c", "d"])
node = st.fixed_dictionaries(
    {
        "op": st.just("keep"),
        "from": st.lists(st.sampled_from(["source", "a", "b", "c", "d"]), min_size=1, max_size=3),
    }
)


@given(st.dictionaries(node_names, node, min_size=1), st.lists(node_names, min_size=1, max_size=3))
def test_any_graph_is_ordered_or_refused(graph: dict[str, Any], outputs: list[str]) -> None:
    written = {
        **parse_text(HEAD, "f").data,
        "engines": {},
        "graph": graph,
        "output": {"from": outputs, "path": "out"},
    }
    resolved = resolve_graph(parse_text(dump_text(written), "f"), OPS)
    seen = {"source"}
    for name in resolved.order:
        known = {source for source in graph[name]["from"] if source in graph}
        assert known <= seen
        seen.add(name)
    if not resolved.problems:
        assert set(resolved.order) == set(resolved.nodes) == set(graph)
