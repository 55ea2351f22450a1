"""What is told of two datasets, as `raygen diff` on real tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raygen.cli.main import main
from raygen.dataset.commit import Committer
from raygen.dataset.reader import Dataset
from raygen.dataset.records import RejectedRow, RowResult
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from raygen.inspection.diff.distributions import BINS, spread_pair
from raygen.inspection.diff.recipes import describe_recipe, describe_stored
from raygen.inspection.opened import OpenedDataset
from raygen.ops.registry import built_in
from raygen.planning.lock_check import make_lock
from raygen.planning.preparation import RecipeRequest, prepare, source_rows
from raygen.planning.sidecars import write_sidecars
from raygen.recipe.lock import STORED
from tests.support.dataset_records import call

RECIPE = """\
recipe: noted
version: 1
source: {path: q.jsonl}
task: multiple_choice
graph:
  noted:
    op: map
    from: source
    set: {note: NOTE, share: {expr: "1 / 2", type: number}, view: "'positive'"}
output: {from: noted, path: out}
"""
REJECT = RejectedRow("noted", "wrong_answer", "no")


def dataset(
    folder: Path, name: str, notes: dict[str, str | None], written: str = "question"
) -> str:
    """A dataset of that recipe: a row per key, dropped where it has no note."""
    question = {"question": "What falls?", "choices": ["sand", "snow"], "answer": "snow"}
    (folder / "q.jsonl").write_text(json.dumps(question) + "\n")
    (folder / "recipe.yaml").write_text(RECIPE.replace("NOTE", written))
    prepared = prepare(RecipeRequest(folder / "recipe.yaml"))
    plan, out = prepared.plan, Folder.at(folder / name)
    committer = Committer(out, plan.hash, plan.columns, "run")
    committer.start({"source": 6})
    results = [
        RowResult(
            key,
            "dropped" if note is None else "kept",
            () if note is None else (example(key, note),),
            (REJECT,) if note is None else (),
            (call(key),),
            None,
            0.1,
            {"noted": (1, int(note is not None), int(note is None))},
        )
        for key, note in notes.items()
    ]
    committer.commit([write_block(out, results, plan.hash, plan.columns)])
    write_sidecars(out, prepared, {})
    return str(folder / name)


def example(key: str, note: str) -> dict[str, Any]:
    base = {"question": f"Q {key}?", "choices": ["yes", "no"], "answer": 1, "view": "positive"}
    return {"id": f"{key}-0", "node": "noted", **base, "note": note, "share": 0.5}


def run(*words: object) -> Result:
    result = CliRunner().invoke(main, ["diff", *map(str, words)], env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    return result


LONG = "a note of five words"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    a = dataset(tmp_path, "a", {"k1": LONG, "k2": LONG, "k3": None, "k4": LONG, "k5": LONG})
    changed = "a note of some six words"
    b = dataset(tmp_path, "b", {"k1": LONG, "k2": changed, "k3": LONG, "k4": None, "k6": LONG},
                written="question + '!'")  # fmt: skip
    return a, b


def test_two_datasets_side_by_side(pair: tuple[str, str]) -> None:
    difference = json.loads(run(*pair, "--json").stdout)
    assert difference["counts"]["kept"] == [4, 4]
    assert difference["counts"]["source"] == [6, 6]
    assert difference["nodes"]["noted"] == [{"in": 5, "kept": 4, "dropped": 1}] * 2
    assert difference["rejects"] == [{"node": "noted", "reason": "wrong_answer", "a": 1, "b": 1}]
    assert difference["lock"] is None
    (node,) = difference["recipe"]["nodes"]
    assert (node["node"], node["fate"]) == ("noted", "changed")
    shares = {one["column"]: one["values"] for one in difference["shares"]}
    assert shares == {"node": {"noted": [4, 4]}, "answer": {"B": [4, 4]},
                      "view": {"positive": [4, 4]}}  # fmt: skip
    spreads = {one["column"]: one for one in difference["spreads"]}
    assert spreads["note"]["unit"] == "words"
    assert spreads["note"]["a"]["quantiles"] == [5, 5, 5, 5, 5]
    assert spreads["note"]["b"]["mean"] == 5.25
    assert spreads["share"]["a"]["mean"] == 0.5


def test_locks_are_compared_where_both_datasets_have_them(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    prepared = prepare(RecipeRequest(tmp_path / "recipe.yaml"))
    lock = make_lock(prepared, source_rows(prepared))
    Folder.at(pair[0]).write_text(STORED, lock.to_text())
    assert json.loads(run(*pair, "--json").stdout)["lock"] is None
    other = lock.model_copy(update={"packages": {**lock.packages, "raygen": "9.9"}})
    Folder.at(pair[1]).write_text(STORED, other.to_text())
    assert json.loads(run(*pair, "--json").stdout)["lock"] == [
        {"what": "packages.raygen", "a": lock.packages["raygen"], "b": "9.9"}
    ]
    assert "packages.raygen" in run(*pair).stdout


def test_rows_are_compared_by_key(pair: tuple[str, str]) -> None:
    rows = json.loads(run(*pair, "--json").stdout)["rows"]
    assert (rows["only_a"], rows["only_b"]) == (1, 1)
    assert rows["both"] == [
        {"a": "dropped", "b": "kept", "rows": 1},
        {"a": "kept", "b": "dropped", "rows": 1},
        {"a": "kept", "b": "kept", "rows": 2},
    ]
    assert (rows["same"], rows["changed"]) == (1, 1)
    samples = {sample["key"]: sample for sample in rows["samples"]}
    assert set(samples) == {"k2", "k3", "k4"}
    (changed,) = samples["k2"]["examples"]
    assert [change["key"] for change in changed["changes"]] == ["note"]
    assert samples["k3"]["rejects"] == [["noted: wrong_answer"], []]
    assert samples["k4"]["statuses"] == ["kept", "dropped"]


def test_it_reads_in_80_columns(pair: tuple[str, str]) -> None:
    text = run(*pair).stdout
    assert max(map(len, text.splitlines())) <= 80
    squeezed = " ".join(text.split())
    assert "kept in both 1 the same, 1 with other examples" in squeezed
    assert "a note of five words → a note of some six words" in squeezed
    assert "dropped; noted: wrong_answer" in squeezed
    assert "note (words) A" in squeezed
    assert "in all examples of both: node noted, answer B, view positive, share 0.5" in squeezed


def test_a_dataset_is_the_same_as_itself(pair: tuple[str, str]) -> None:
    difference = json.loads(run(pair[0], pair[0], "--json").stdout)
    assert difference["recipe"]["same"]
    assert (difference["rows"]["same"], difference["rows"]["changed"]) == (4, 0)
    assert difference["rows"]["samples"] == []
    assert "the recipes are the same" in run(pair[0], pair[0]).stdout


def test_a_recipe_is_compared_with_the_one_in_a_dataset(
    pair: tuple[str, str], tmp_path: Path
) -> None:
    # recipe.yaml is as `b` was made; variants are no part of what a dataset keeps.
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(recipe.read_text() + "variants: {other: {output.path: elsewhere}}\n")
    assert json.loads(run(pair[1], recipe, "--json").stdout)["same"]
    difference = json.loads(run(pair[0], recipe, "--json").stdout)
    assert [node["node"] for node in difference["nodes"]] == ["noted"]


def test_columns_of_a_single_side_are_named_and_the_others_compared(tmp_path: Path) -> None:
    a = dataset(tmp_path, "a", {"k1": LONG})
    b = dataset(tmp_path, "b", {"k1": LONG}, written="question, more: question")
    rows = json.loads(run(a, b, "--json").stdout)["rows"]
    assert (rows["columns_only_a"], rows["columns_only_b"]) == ([], ["more"])
    assert rows["same"] == 1


def test_a_spread_shares_its_bins() -> None:
    pair = spread_pair("n", "number", [0.0, 1.0], [2.0, 12.0])
    assert pair.a is not None
    assert pair.b is not None
    assert (len(pair.a.bins), sum(pair.a.bins), pair.a.bins[:2]) == (BINS, 2, (1, 1))
    assert (pair.b.bins[2], pair.b.bins[-1]) == (1, 1)
    assert pair.b.quantiles == (2.0, 4.5, 7.0, 9.5, 12.0)
    assert not pair.constant
    assert spread_pair("n", "number", [1.0, 1.0], [1.0]).constant
    assert not spread_pair("n", "number", [1.0], [2.0]).constant
    assert spread_pair("n", "number", [], [1.0]).a is None


def test_a_classification_dataset_stores_its_prompts(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"text": "A fine film.", "label": "good"}\n')
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "recipe: films\nversion: 1\nsource: {path: q.jsonl}\ntask: classification\n"
        "labels: [bad, good]\nengines: {t: {model: m, backend: fake, args: {answers: [x]}}}\n"
        "graph: {soft: {op: soft_labels, from: source, engine: t}}\n"
        "output: {from: soft, path: out}\n"
    )
    prepared = prepare(RecipeRequest(path))
    folder = Folder.at(tmp_path / "out")
    write_sidecars(folder, prepared, {})
    stored = describe_stored(OpenedDataset(Dataset(folder), prepared.plan.to_json()), built_in())
    assert stored.nodes == describe_recipe(RecipeRequest(path), str(path)).nodes
    assert stored.nodes["soft"].templates
