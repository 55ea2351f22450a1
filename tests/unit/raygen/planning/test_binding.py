"""What ops find on the machine that plans: settled once, recorded, the same for every worker."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from raygen.core.errors import UserError
from raygen.core.row import Status
from raygen.dataset.reader import Dataset
from raygen.dataset.storage import Folder
from raygen.dataset.stored_plan import PLAN
from raygen.engines.fake import FakeEngine
from raygen.engines.models.tokenizer import load_tokenizer
from raygen.inspection.browse.replay import UnknownPlanError, rebuild_plan
from raygen.ops import mask_topic_words
from raygen.planning.binding import bind_plan, continue_plan
from raygen.planning.plan import Plan
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.runtime.row_program import RowProgram
from tests.support.small_datasets import write_recipe

MASKING = """\
recipe: masking
version: 1
source: {path: q.jsonl}
task: multiple_choice
engines:
  teacher: {model: scripted, backend: fake, args: {answers: ["snow\\nNoun phrases: winter"]}}
graph:
  masked: {op: mask_topic_words, from: source, engine: teacher, phrases: PHRASES}
output: {from: masked, path: out}
"""
SHUFFLING = """\
recipe: shuffling
version: 1
source: {path: q.jsonl}
task: multiple_choice
graph:
  shuffled: {op: perturb_rationale, from: source, how: shuffle, unit: token, tokenizer: TOKENIZER}
output: {from: shuffled, path: out}
"""
ROW = {"question": "Is snow in winter?", "choices": ["no", "yes"], "answer": "yes"}
REASONED = {**ROW, "rationale": "snow falls in winter"}
WITHOUT_LIBRARY = "bce256e842c45df1513f87b634083872"
"""The hash of the plan with `phrases: auto` that raygen 0.1.0 made."""


def masking(folder: Path, phrases: str = "auto") -> Plan:
    return prepare(
        RecipeRequest(write_recipe(folder, MASKING.replace("PHRASES", phrases), [ROW]))
    ).plan


def install(monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    monkeypatch.setattr(mask_topic_words, "installed_pipeline", lambda: name)
    monkeypatch.setattr(mask_topic_words, "noun_phrases", lambda text, pipeline: [(11, 17)])


async def masked(plan: Plan) -> dict[str, Any]:
    """What a worker makes of the row, with the plan as it gets it."""
    plan = pickle.loads(pickle.dumps(plan))  # noqa: S301 - what was pickled a moment ago
    engines = {name: FakeEngine(spec) for name, spec in plan.engines.items()}
    result = await RowProgram(plan, engines).run("k", {**ROW, "answer": 1})
    (example,) = result.examples
    return dict(example)


def write_tokenizer(folder: Path, words: list[str]) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(exist_ok=True)
    fast = Tokenizer(models.WordLevel({word: n for n, word in enumerate(["?", *words])}, "?"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    fast.save(str(folder / "tokenizer.json"))
    load_tokenizer.cache_clear()


def shuffling(folder: Path) -> Plan:
    write_tokenizer(folder / "student", ["snow", "falls"])
    text = SHUFFLING.replace("TOKENIZER", str(folder / "student"))
    return prepare(RecipeRequest(write_recipe(folder, text, [REASONED]))).plan


def dataset_of(folder: Path, plan: Plan, done: dict[str, Status]) -> Dataset:
    """A dataset whose plan.json is the plan's, with these rows."""

    class Stored(Dataset):
        def done(self, plan_hash: str) -> dict[str, Status]:
            return done

    (folder / PLAN).write_text(json.dumps(plan.to_json()))
    return Stored(Folder.at(str(folder)))


def test_a_library_that_is_there_makes_another_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, None)
    without, engine = masking(tmp_path).hash, masking(tmp_path, "engine").hash
    install(monkeypatch, "en_core_web_sm")
    assert masking(tmp_path).hash != without
    assert masking(tmp_path, "engine").hash == engine


def test_a_plan_without_the_library_is_the_one_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, None)
    assert masking(tmp_path).hash == WITHOUT_LIBRARY


@pytest.mark.parametrize(
    ("planned", "worker", "by"),
    [(None, "en_core_web_sm", "engine"), ("en_core_web_sm", None, "library")],
)
async def test_every_worker_does_what_was_planned(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    planned: str | None,
    worker: str | None,
    by: str,
) -> None:
    install(monkeypatch, planned)
    plan = bind_plan(masking(tmp_path))
    install(monkeypatch, worker)
    assert (await masked(plan))["phrases_by"] == by


def test_a_dataset_says_what_its_rows_were_made_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, "en_core_web_sm")
    plan = masking(tmp_path)
    assert "bound" not in plan.to_json()["nodes"][0]
    (node,) = bind_plan(plan).to_json()["nodes"]
    assert node["bound"] == {"phrases": "library", "pipeline": "en_core_web_sm"}
    assert node["params"]["phrases"] == "auto"


async def test_rows_are_replayed_with_what_made_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, None)
    plan = bind_plan(masking(tmp_path))
    install(monkeypatch, "en_core_web_sm")
    ops = {node.op.name: node.op for node in plan.nodes}
    again = rebuild_plan(plan.to_json(), ops)
    again = replace(again, engines=plan.engines)
    assert (await masked(again))["phrases_by"] == "engine"


def test_workers_get_the_tokenizer_with_the_plan(tmp_path: Path) -> None:
    plan = bind_plan(shuffling(tmp_path))
    (tmp_path / "student" / "tokenizer.json").unlink()
    (node,) = pickle.loads(pickle.dumps(plan)).nodes  # noqa: S301 - pickled a moment ago
    assert node.run_params.pieces("snow falls") == [" snow", " falls"]


def test_a_tokenizer_that_isnt_there_is_an_error_before_the_run(tmp_path: Path) -> None:
    plan = shuffling(tmp_path)
    (tmp_path / "student" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"node 'shuffled': .* has no tokenizer\.json"):
        bind_plan(plan)


def test_rows_are_never_added_with_another_tokenizer(tmp_path: Path) -> None:
    plan = bind_plan(shuffling(tmp_path))
    dataset = dataset_of(tmp_path, plan, {"k": "kept"})
    assert continue_plan(plan, dataset, ["k", "new"]) == plan
    write_tokenizer(tmp_path / "student", ["snow", "melts"])
    other = bind_plan(prepare(RecipeRequest(tmp_path / "recipe.yaml")).plan)
    assert other.hash == plan.hash
    with pytest.raises(UserError, match=r"node 'shuffled', tokenizer: .* then, .* now.*--fresh"):
        continue_plan(other, dataset, ["k", "new"])
    ops = {node.op.name: node.op for node in plan.nodes}
    with pytest.raises(UnknownPlanError, match="has changed since"):
        rebuild_plan(plan.to_json(), ops)


def test_a_finished_dataset_keeps_saying_what_made_it(tmp_path: Path) -> None:
    plan = bind_plan(shuffling(tmp_path))
    dataset = dataset_of(tmp_path, plan, {"k": "kept"})
    write_tokenizer(tmp_path / "student", ["snow", "melts"])
    other = bind_plan(prepare(RecipeRequest(tmp_path / "recipe.yaml")).plan)
    assert continue_plan(other, dataset, ["k"]).to_json() == plan.to_json()


def test_a_row_to_try_again_is_a_row_to_make(tmp_path: Path) -> None:
    plan = bind_plan(shuffling(tmp_path))
    dataset = dataset_of(tmp_path, plan, {"k": "failed"})
    write_tokenizer(tmp_path / "student", ["snow", "melts"])
    other = bind_plan(prepare(RecipeRequest(tmp_path / "recipe.yaml")).plan)
    with pytest.raises(UserError, match="made with something else"):
        continue_plan(other, dataset, ["k"])


def test_a_dataset_of_before_says_nothing_and_goes_on(tmp_path: Path) -> None:
    unbound = shuffling(tmp_path)
    dataset = dataset_of(tmp_path, unbound, {"k": "kept"})
    plan = bind_plan(unbound)
    assert continue_plan(plan, dataset, ["k", "new"]) == plan


@pytest.mark.parametrize("command", [("apply", "--yes"), ("preview",)])
def test_what_an_op_lacks_is_reported_before_anything_starts(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    shuffling(tmp_path)
    (tmp_path / "student" / "tokenizer.json").unlink()
    load_tokenizer.cache_clear()
    name, *options = command
    done = CliRunner().invoke(main, [name, str(tmp_path / "recipe.yaml"), *options])
    assert done.exit_code == 2, done.output
    assert "node 'shuffled'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_preview_runs_with_what_the_plan_is_bound_to(tmp_path: Path) -> None:
    shuffling(tmp_path)
    done = CliRunner().invoke(main, ["preview", str(tmp_path / "recipe.yaml"), "--json"])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)
    assert sorted(row["examples"][0]["rationale"].split()) == ["falls", "in", "snow", "winter"]
