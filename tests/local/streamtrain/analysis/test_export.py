"""A student for others: merged it answers as before, its card says what it is made of, a push."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml
from click.testing import CliRunner
from transformers import AutoModelForCausalLM, AutoTokenizer

from raygen.dataset.commit import Committer
from raygen.dataset.reader import Dataset
from raygen.dataset.records import RowResult
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from streamtrain.analysis.export import check_pushable, export_student
from streamtrain.cli.main import main
from streamtrain.config.student import StudentConfig
from streamtrain.data.dataset import DatasetFacts, dataset_facts
from streamtrain.errors import InputError
from streamtrain.evaluation.metrics import score_predictions
from streamtrain.evaluation.records import (
    EVALUATIONS,
    read_records,
    write_annotations,
    write_record,
)
from streamtrain.heldout.prediction import Prediction
from streamtrain.heldout.questions import Question
from streamtrain.models.student import ModelSource, load_student
from streamtrain.run.spec import RunSpec
from streamtrain.training.card import model_card
from streamtrain.training.outcome import read_outcome, write_outcome
from streamtrain.training.progress import Selection, TrainProgress
from tests.local.streamtrain.models.test_classifier import family
from tests.support.hub_stub import TOKEN, Hub, StubRepository, running_hub
from tests.support.stored_plans import stored_plan

CPU = torch.device("cpu")


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Path:
    """A finished run whose adapter and new token are random."""
    torch.manual_seed(0)
    config = StudentConfig.model_validate(
        {
            "student": "tiny",
            "version": 1,
            "model": str(tiny_model),
            "tune": {"method": "lora", "r": 2},
            "data": {"tokens": ["[new]"]},
        }
    )
    student = load_student(ModelSource(str(tiny_model)), config.tune, CPU, config.data.tokens)
    for _, parameter in student.trainable():
        torch.nn.init.normal_(parameter, std=0.2)
    out = tmp_path / "run"
    questions = [Question("q", ("a", "b"), 1)]
    result = score_predictions(questions, [Prediction(1)])
    write_record(out / EVALUATIONS, "held", questions, result)
    at = TrainProgress({}, step=7, selection=Selection(0.5, 5))
    write_outcome(RunSpec(config, str(tiny_model), "d", out, None), student, at, result)
    return out


def export(run: Path, *options: str) -> str:
    done = CliRunner().invoke(main, ["export", str(run), *options])
    return done.output if done.exit_code == 0 else f"{done.exit_code} {done.stderr}"


def test_a_merged_student_answers_as_the_adapter_does(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "merged"
    assert str(target) in export(run, "--out", str(target), "--merge")
    assert not (target / "adapter_config.json").exists()
    adapter, _ = read_outcome(run, CPU)
    token = adapter.tokenizer.convert_tokens_to_ids("[new]")
    ids = torch.tensor([[0, 5, token, 9]])
    with torch.no_grad():
        expected = adapter.model.eval()(ids).logits
        plain = AutoModelForCausalLM.from_pretrained(target)
        torch.testing.assert_close(plain(ids).logits, expected, rtol=1e-3, atol=1e-4)
        loaded, _ = read_outcome(target, CPU)
        torch.testing.assert_close(loaded.model.eval()(ids).logits, plain(ids).logits)
    assert AutoTokenizer.from_pretrained(target).convert_tokens_to_ids("[new]") == token


def test_an_adapter_is_passed_on_as_it_is(run: Path, tmp_path: Path) -> None:
    export(run, "--out", str(tmp_path / "copy"))
    names = {path.name for path in (tmp_path / "copy").iterdir()}
    assert {"adapter_model.safetensors", "student.json", "README.md"} <= names


def test_the_card_tells_results_and_the_step_that_was_kept(run: Path, tmp_path: Path) -> None:
    written = (run / "final" / "README.md").read_text()
    export(run, "--out", str(tmp_path / "copy"))
    assert (tmp_path / "copy" / "README.md").read_text() == written
    assert "| held | 100.0% |" in written
    assert "those of step 5" in written
    assert "could not be read" in written
    assert "base_model" not in written
    assert str(tmp_path) not in written


def test_the_card_tells_the_dataset(tmp_path: Path) -> None:
    config = StudentConfig(student="s", version=1, model="some/model", revision="abc")
    rejects = (("correct", "wrong_answer", 7),)
    counts = (9, 5, 3, 1, 20)
    facts = DatasetFacts(
        "scotd", {"teacher": "big"}, ("sample_rationales",), *counts, "c0ffee", rejects
    )
    result = {"plan": "p1", "steps": 3, "rows": 24, "tokens": 99, "cut": 0, "left_out": {"view": 2}}
    card = model_card(config, result, [], facts)
    assert yaml.safe_load(card.split("---")[1])["base_model"] == "some/model"
    for text in ("at revision abc", "`p1`", "recipe: scotd", "teacher: `big`", "examples: 20"):
        assert text in card
    assert "kept 5, dropped 3, failed 1" in card
    assert "content: `c0ffee`" in card
    assert "rejected by correct: 7 (wrong_answer)" in card
    assert "Left out: 2 examples (view)." in card
    assert "not evaluated" in card


def loaded_by(card: Path) -> Any:
    """What the code on a card loads, run in the card's folder."""
    code = card.read_text().partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code.replace("path/to/tiny", str(card.parent)), names)  # noqa: S102
    return names["model"], names["tokenizer"]


@pytest.mark.parametrize("options", [(), ("--merge",)])
def test_the_code_on_the_card_loads_the_student(
    run: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Its new token included, for which the model below the adapter has no room."""
    export(run, "--out", str(tmp_path / "copy"), *options)
    model, tokenizer = loaded_by(tmp_path / "copy" / "README.md")
    ids = tokenizer("a [new] b", return_tensors="pt")["input_ids"]
    student, _ = read_outcome(run, CPU)
    with torch.no_grad():
        expected = student.model.eval()(input_ids=ids).logits
        torch.testing.assert_close(
            model.eval()(input_ids=ids).logits, expected, rtol=1e-3, atol=1e-4
        )


def test_the_code_on_the_card_of_a_classifier_s_adapter_knows_its_classes(
    tiny_model: Path, tmp_path: Path
) -> None:
    labels, base = ["cold", "hot", "neither"], str(family("bert", tmp_path, tiny_model))
    settings = {
        "student": "tiny",
        "version": 1,
        "kind": "classifier",
        "model": base,
        "tune": {"method": "lora", "r": 2},
        "data": {"labels": labels},
    }
    config = StudentConfig.model_validate(settings)
    source = ModelSource(base, kind="classifier", labels=tuple(labels))
    student = load_student(source, config.tune, CPU)
    job = RunSpec(config, base, "d", tmp_path, None)
    folder = write_outcome(job, student, TrainProgress({}), None)
    model, tokenizer = loaded_by(folder / "README.md")
    ids = tokenizer("In the fridge.", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = student.model.eval()(input_ids=ids).logits
        torch.testing.assert_close(model.eval()(input_ids=ids).logits, expected)


def test_the_card_tells_pairs_and_no_paths(tmp_path: Path) -> None:
    config = StudentConfig.model_validate(
        {
            "student": "s",
            "version": 1,
            "kind": "classifier",
            "model": "/home/me/models/small",
            "data": {"labels": ["bad", "good"]},
            "objective": {"loss": "kd", "teacher": {"model": "/home/me/models/large"}},
            "evaluate": {
                "report": "/home/me/held.jsonl",
                "select": "near/select.jsonl",
                "every": 5,
            },
        }
    )
    variants: tuple[Literal["original", "counterfactual"], ...] = ("original", "counterfactual")
    pair = [Question(v, ("bad", "good"), 1, "g", v, classes=True) for v in variants]
    evaluation = score_predictions(pair, [Prediction(1), Prediction(0)])
    write_record(tmp_path, "contrast", pair, evaluation)
    write_record(tmp_path, "plain", pair[:1], score_predictions(pair[:1], [Prediction(1)]))
    result = {"plan": "p1", "steps": 3, "rows": 24, "tokens": 99, "cut": 0}
    card = model_card(config, result, read_records(tmp_path), None)
    assert "| 2 | 0 | 100.0% | 0.0% | 0.0% |" in card
    assert "| 1 | 0 |  |  |  |" in card
    assert "/home/me" not in card
    for name in ("small", "model: large", "report: held.jsonl", "select: near/select.jsonl"):
        assert name in card


def test_a_dataset_tells_of_itself_while_it_is_there(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path)
    committer = Committer(folder, "plan-1", {"view": "string"}, "run-1")
    committer.start({"source": 2})
    row = RowResult("k", "kept", ({"id": "e", "node": "n", "view": "v"},), (), (), None, 0.0, {})
    committer.commit([write_block(folder, [row], "plan-1", {"view": "string"})])
    plan = stored_plan("plan-1", "n", "f")
    made, kept = plan["nodes"]
    made["op"], kept["op"] = "o", "filter"
    kept["params"] = {"where": "a == b", "reason": "c"}
    engines = {"t": {"model": "m", "revision": "abc"}}
    folder.write_text("plan.json", json.dumps({**plan, "recipe": "r", "engines": engines}))
    facts = dataset_facts(str(tmp_path), "plan-1")
    assert facts is not None
    assert (facts.recipe, facts.engines, facts.kept) == ("r", {"t": "m@abc"}, 1)
    assert facts.ops == ("o", "filter (`a == b`)")
    assert facts.content == Dataset.open(folder).content_hash("plan-1")
    assert facts.content != Dataset.open(folder).content_hash("another")
    assert dataset_facts(str(tmp_path), "another") is None
    assert dataset_facts(str(tmp_path / "nothing"), "plan-1") is None


def test_what_cannot_be_pushed_is_not_exported(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert "push it merged" in export(run, "--out", str(copy), "--push", "me/student")
    assert not copy.exists()


def test_what_cannot_be_exported_is_refused(run: Path, tmp_path: Path) -> None:
    assert "2 " in export(run, "--out", str(run))
    assert "give another folder" in export(run, "--out", str(run))
    merged = tmp_path / "merged"
    export(run, "--out", str(merged), "--merge")
    assert "is no finished run" in export(merged, "--out", str(tmp_path / "again"))


PUSH = "import sys; from pathlib import Path; from streamtrain.analysis import push_folder; "


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


def push(hub: Hub, folder: Path, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    code = f"{PUSH}print(push_folder(Path({str(folder)!r}), 'me/student', True))"
    return hub.python(code, folder.parent / "home", token)


def test_a_folder_becomes_a_commit_in_a_repository(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text("# A student\n")
    done = push(hub, folder)
    assert done.returncode == 0, done.stderr
    repository = hub.repositories["me/student"]
    assert done.stdout.strip().endswith(f"/me/student/commit/{repository.sha}")
    assert (repository.private, repository.commits) == (True, 1)
    assert set(repository.files) == {"config.json", "README.md"}


def test_a_repository_of_other_files_is_left_alone(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "student"
    folder.mkdir()
    for name in ("config.json", "README.md", "student.json"):
        (folder / name).write_text("{}")
    theirs = {".gitattributes": b"x", "config.json": b"theirs", "model.safetensors": b"theirs"}
    hub.repositories["me/student"] = StubRepository(True, dict(theirs))
    program = f"{PUSH}print(push_folder(Path({str(folder)!r}), 'me/student', True))"
    with hub.session(tmp_path / "home") as session:
        code, output = session.python(program)
        assert code == 1
        assert "me/student holds other files (config.json, model.safetensors); expected" in output
        assert hub.repositories["me/student"].files == theirs
        hub.repositories["me/student"].files = {".gitattributes": b"x"}
        assert session.python(program)[0] == 0, "an empty one is taken"
        assert session.python(program)[0] == 0, "and its own again"
    assert hub.repositories["me/student"].commits == 2


def test_a_repository_is_looked_at_before_a_student_is_exported(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a fake list of files instead of a hub."""
    monkeypatch.setattr("raygen.core.hub.Repository.files", lambda self: ["model.safetensors"])
    out = tmp_path / "copy"
    refused = export(run, "--out", str(out), "--merge", "--push", "me/student")
    assert "me/student holds other files" in refused
    assert not out.exists()


def test_a_token_that_is_refused_is_one_clear_error(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    done = push(hub, folder, "hf_bad")
    assert done.returncode != 0
    assert "InputError: can't push to me/student: " in done.stderr
    assert "hf auth login" in done.stderr
    assert "hf_bad" not in done.stderr


def test_an_adapter_of_a_local_model_is_not_pushed(tmp_path: Path) -> None:
    settings = tmp_path / "adapter_config.json"
    settings.write_text(json.dumps({"base_model_name_or_path": "/models/mine"}))
    with pytest.raises(InputError, match="with --merge"):
        check_pushable(tmp_path)
    settings.write_text(json.dumps({"base_model_name_or_path": "org/model"}))
    check_pushable(tmp_path)


def test_a_student_with_a_link_is_not_exported(run: Path, tmp_path: Path) -> None:
    """What lies behind the link is the user's own, and would be pushed."""
    (tmp_path / "secret").write_text("key")
    (run / "final" / "notes.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=r"notes\.txt is a link to .*secret"):
        export_student(run, tmp_path / "out", merge=False)
    assert not (tmp_path / "out").exists()


def test_an_evaluation_takes_the_place_of_its_own_only(tmp_path: Path) -> None:
    questions = [Question("q", ("a", "b"), 1)]
    result = score_predictions(questions, [Prediction(1)])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "rationales.jsonl").write_text("mine")
    with pytest.raises(InputError, match=r"it holds other files \(rationales\.jsonl\)"):
        write_record(tmp_path, "mine", questions, result)
    assert (tmp_path / "mine" / "rationales.jsonl").read_text() == "mine"
    for _ in range(2):
        write_record(tmp_path, "held", questions, result)
    (tmp_path / "held" / "evaluation.json").unlink()  # killed before it was whole
    write_record(tmp_path, "held", questions, result)


def test_verdicts_stay_in_the_evaluation_that_they_are_of(tmp_path: Path) -> None:
    """A key of somebody else's names the set, and with it the folder."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "verdicts.json").write_text("mine")
    (tmp_path / "run" / "evaluations").mkdir(parents=True)
    with pytest.raises(InputError, match=r"it holds other files \(verdicts\.json\)"):
        write_annotations(tmp_path / "run", "../../mine", {})
    assert (tmp_path / "mine" / "verdicts.json").read_text() == "mine"


def test_an_evaluation_is_written_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "evaluations").symlink_to(tmp_path / "elsewhere")
    questions = [Question("q", ("a", "b"), 1)]
    with pytest.raises(InputError, match="evaluations is a link"):
        write_record(
            tmp_path / "evaluations",
            "held",
            questions,
            score_predictions(questions, [Prediction(1)]),
        )
    assert list((tmp_path / "elsewhere").iterdir()) == []
