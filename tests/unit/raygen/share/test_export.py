"""export: the formats, which `datasets` loads, and which examples go into them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raygen.cli.main import main
from raygen.core.answers import read_answer
from raygen.core.errors import UserError
from raygen.dataset.storage import Folder
from raygen.share.examples import read_examples
from raygen.share.transfer import push
from raygen.share.wording import ANSWERED, REFUTED, TaskWording
from tests.support.shared_dataset import ROWS, question, write_dataset

PROMPT = "Question: What is cold, 0?\nOptions:\n(A) fire\n(B) snow\n(C) tea\n"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return write_dataset(tmp_path_factory.mktemp("made"), keys=range(ROWS))


def export(dataset: Folder, *words: str) -> Result:
    return CliRunner().invoke(main, ["export", dataset.uri, *words])


def exported(dataset: Folder, target: Path, *words: str) -> Any:
    """What `datasets` reads of an export."""
    import datasets

    done = export(dataset, "--out", str(target), *words)
    assert done.exit_code == 0, done.output
    if "hf" in words:
        return datasets.load_from_disk(str(target))
    kind = "parquet" if "parquet" in words else "json"
    cache = str(target.parent / "cache")
    return datasets.load_dataset(kind, data_files=str(target), split="train", cache_dir=cache)


@pytest.mark.parametrize("form", ["parquet", "jsonl", "hf"])
def test_the_examples_as_they_are(dataset: Folder, tmp_path: Path, form: str) -> None:
    read = exported(dataset, tmp_path / "examples", "--format", form)
    assert read.num_rows == 9
    assert read["id"] == sorted(read["id"])
    first = read[0]
    assert {name: first[name] for name in question(0)} == question(0)
    assert first["rationale"] == "Snow is cold (a)."
    assert first["refuted"] is None


def test_chats_are_what_a_student_reads_and_says(dataset: Folder, tmp_path: Path) -> None:
    read = exported(dataset, tmp_path / "chat.jsonl", "--format", "chat")
    chats = dict(zip(read["id"], read["messages"], strict=True))
    assert [message["role"] for message in chats["id-0-a"]] == ["user", "assistant"]
    assert chats["id-0-a"][0]["content"] == PROMPT + "Answer:"
    reply = chats["id-0-a"][1]["content"]
    assert reply == "Snow is cold (a).\nSo the answer is: (B) snow"
    answer = read_answer(reply, question(0)["choices"])
    assert (answer.option, answer.rationale) == (1, "Snow is cold (a).")
    prompt, refuting = (message["content"] for message in chats["id-0-c"])
    assert prompt == PROMPT + "Refute: fire\nAnswer:"
    assert refuting == "Fire is hot."


def test_instructions(dataset: Folder, tmp_path: Path) -> None:
    read = exported(dataset, tmp_path / "a.jsonl", "--format", "alpaca", "--view", "negative")
    assert read.num_rows == 3
    row = read[0]
    assert (row["instruction"], row["output"]) == (REFUTED, "Fire is hot.")
    assert row["input"] == PROMPT + "Refute: fire\nAnswer:"


def test_repeats_are_left_out_whatever_their_order(dataset: Folder, tmp_path: Path) -> None:
    def ids(name: str, *words: str) -> list[str]:
        read = exported(dataset, tmp_path / name, "--format", "jsonl", *words)
        return list(read["id"])

    assert len(ids("all")) == 9
    # "snow  is COLD (a)." repeats "Snow is cold (a)." of the same question.
    once = ids("once", "--deduplicate")
    assert once == [f"id-{row}-{name}" for row in range(3) for name in "ac"]
    assert ids("near", "--deduplicate", "--near", "0.2") == once
    done = export(dataset, "--format", "jsonl", "--near", "0.9")
    assert "give both" in done.output


def test_similar_rationales_are_repeats_with_near(tmp_path: Path) -> None:
    from raygen.share.examples import read_examples

    examples_read = read_examples(write_dataset(tmp_path, keys=[0]).uri)
    rationales = examples_read.frame["rationale"].to_list()
    assert rationales == ["Snow is cold (a).", "snow  is COLD (a).", "Fire is hot."]
    changed = examples_read.frame.with_columns(
        rationale=examples_read.frame["rationale"].replace(
            {rationales[1]: "Snow is very cold (a)."}
        )
    )
    examples = type(examples_read)(examples_read.plan, changed)
    assert len(examples.without_repeats(None).frame) == 3
    assert len(examples.without_repeats(0.4).frame) == 2


def test_views_that_share_a_prompt_are_named(dataset: Folder, tmp_path: Path) -> None:
    def output(*words: str) -> str:
        return export(dataset, "--out", str(tmp_path / "-".join(words)), *words).output

    assert "ask alike" not in output("--format", "chat"), "a negative view names its option"
    plain = read_examples(dataset.uri)
    mixed = replace(plain, frame=plain.frame.with_columns(refuted=None))
    assert mixed.alike() == ["negative", "positive"]
    assert mixed.of_views(["positive"]).alike() == ["positive"]


def test_a_view_that_no_example_has(dataset: Folder) -> None:
    done = export(dataset, "--format", "chat", "--view", "postive")
    assert done.exit_code == 2
    assert "did you mean 'positive'?" in done.output


def test_an_existing_file_is_not_overwritten(dataset: Folder, tmp_path: Path) -> None:
    target = tmp_path / "mine.jsonl"
    target.write_text("mine\n")
    done = export(dataset, "--format", "jsonl", "--out", str(target))
    assert (done.exit_code, target.read_text()) == (2, "mine\n")
    assert "is there already; nothing was changed" in done.output


def test_a_pulled_dataset_is_exported_too(
    dataset: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    push(dataset.uri, "shelf", public=False, tell=lambda _: None)
    done = export(Folder.at("shelf"), "--format", "chat", "--json")
    assert json.loads(done.stdout) == {
        "path": "small-questions.chat.jsonl", "format": "chat", "examples": 9, "repeats": 0,
    }  # fmt: skip
    direct = export(dataset, "--format", "chat", "--out", "direct.jsonl")
    assert "9 examples in direct.jsonl" in direct.output
    assert Path("direct.jsonl").read_text() == Path("small-questions.chat.jsonl").read_text()


def test_a_pulled_dataset_lies_in_a_folder_of_any_name(dataset: Folder, tmp_path: Path) -> None:
    push(dataset.uri, str(tmp_path / "a [1]*"), public=False, tell=lambda _: None)
    assert len(read_examples(str(tmp_path / "a [1]*")).frame) == 9


def test_commands_refuse_a_pulled_dataset(dataset: Folder, tmp_path: Path) -> None:
    push(dataset.uri, str(tmp_path / "shelf"), public=False, tell=lambda _: None)
    done = CliRunner().invoke(main, ["status", str(tmp_path / "shelf")])
    assert done.exit_code == 2
    assert "a copy that `raygen pull` brought" in done.output


def wording(task: str, *labels: str) -> TaskWording:
    columns = dict.fromkeys(("question", "choices", "text"), "string")
    return TaskWording.of({"task": task, "labels": labels, "columns": columns})


def test_a_classification_and_a_free_text() -> None:
    row = {"id": "x", "text": "I loved it. ", "label": "good", "rationale": "Love is good."}
    turn = wording("classification", "good", "bad").turn(row)
    assert turn.prompt == "Text: I loved it.\nClasses: good, bad\nAnswer:"
    assert turn.reply == "Love is good.\nSo the answer is: good"
    free = {"id": "x", "question": "Why?", "label": "because", "rationale": None}
    turn = wording("free_text").turn(free)
    assert (turn.instruction, turn.prompt) == (ANSWERED, "Question: Why?\nAnswer:")
    assert turn.reply == "So the answer is: because"


def test_examples_that_are_no_questions() -> None:
    with pytest.raises(UserError, match="no column 'choices', which this format needs"):
        TaskWording.of({"task": "multiple_choice", "labels": [], "columns": {"question": "string"}})
    with pytest.raises(UserError, match="neither a rationale nor an answer"):
        wording("free_text").turn({"id": "x", "question": "Why?"})
    with pytest.raises(UserError, match="its answer is 7; expected an option's index"):
        wording("multiple_choice").turn({**question(0), "id": "x", "answer": 7})
