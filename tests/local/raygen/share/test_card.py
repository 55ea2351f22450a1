"""The dataset card: its header, what it tells, and that `datasets` reads a folder by it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from raygen.dataset.records import DatasetError
from raygen.dataset.storage import Folder
from raygen.inspection.facts import card_facts
from raygen.inspection.opened import open_dataset
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.share.card import CardLinks, dataset_card, discard_card, write_card
from tests.support.shared_dataset import RECIPE, ROWS, lock, write_dataset


def card_of(base: Path, recipe: str = RECIPE, reference: str | None = None) -> str:
    folder = write_dataset(base, recipe=recipe, keys=range(ROWS))
    return dataset_card(
        card_facts(open_dataset(folder)), CardLinks(["x.parquet"], '"x"', reference)
    )


def test_the_header_is_what_the_hub_reads(tmp_path: Path) -> None:
    head = yaml.safe_load(card_of(tmp_path).split("---\n")[1])
    assert head["license"] == "cc-by-4.0"
    assert head["task_categories"] == ["multiple-choice"]
    assert head["size_categories"] == ["n<1K"]
    files = [{"split": "train", "path": "x.parquet"}]
    assert head["configs"] == [{"config_name": "default", "data_files": files}]


def test_a_licence_that_the_hub_has_no_word_for(tmp_path: Path) -> None:
    text = card_of(tmp_path, RECIPE.replace("CC-BY-4.0", "for my students only"))
    head = yaml.safe_load(text.split("---\n")[1])
    assert (head["license"], head["license_name"]) == ("other", "for my students only")


def test_it_tells_what_how_and_by_whom(tmp_path: Path) -> None:
    text = card_of(tmp_path, reference="hf://datasets/me/small")
    assert "Rationales for easy questions." in text  # the param is filled in
    assert "9 examples from 4 source rows, made by `org/teacher`" in text
    assert "3 kept, 1 dropped, 0 failed" in text
    assert "Views: 3 `negative`, 6 `positive`." in text
    assert "| right | filter | 8 | 6 | 2 | wrong_answer: 2 |" in text
    assert 'n1["<b>right</b><br>filter<br>8 in, 6 kept"]' in text
    assert "| teacher | [org/teacher](https://huggingface.co/org/teacher) | `abc123` | Ap" in text
    assert "- the source, `q.jsonl`, whose rows are in it: MIT" in text
    assert "what isn't noted" not in text
    assert "1 of 4 source rows (25 %) gave no example" in text
    assert "raygen apply hf://datasets/me/small/recipe.yaml --out again" in text
    assert "author = {Ada Lovelace and Charles Babbage}" in text
    assert "\\url{https://huggingface.co/datasets/me/small}" in text


def test_it_says_what_the_recipe_leaves_open(tmp_path: Path) -> None:
    recipe = RECIPE.replace("license: CC-BY-4.0", "").replace(", license: Apache-2.0", "")
    text = card_of(tmp_path, recipe.replace(", revision: abc123", ""))
    assert "- this dataset: not noted in the recipe" in text
    assert "| not pinned | not noted |" in text
    assert "what isn't noted is not thereby free" in text
    assert "license" not in yaml.safe_load(text.split("---\n")[1])


def test_it_contains_no_local_path(tmp_path: Path) -> None:
    rows = tmp_path / "q.jsonl"
    recipe = RECIPE.replace("path: q.jsonl", f"path: {rows}")
    text = card_of(tmp_path, recipe.replace("model: org/teacher", f"model: {tmp_path}/mine"))
    assert str(tmp_path) not in text
    assert "`mine` (a folder of its maker's)" in text
    assert "not to be made again elsewhere: teacher" in text


def test_licences_and_authors_are_no_part_of_what_a_dataset_is(tmp_path: Path) -> None:
    def plan_of(name: str, recipe: str) -> str:
        write_dataset(tmp_path / name, recipe=recipe)
        return prepare(RecipeRequest(tmp_path / name / "recipe.yaml")).plan.hash

    other = RECIPE.replace("MIT", "GPL-3.0").replace("Apache-2.0", "own").replace("CC-BY-4.0", "x")
    assert plan_of("one", RECIPE) == plan_of("other", other.replace("Ada Lovelace, ", ""))


def test_datasets_reads_the_folder_without_the_rows_that_were_replaced(tmp_path: Path) -> None:
    import datasets

    write_dataset(tmp_path, recipe=RECIPE.replace("n: 2", "n: 3"))
    folder = write_dataset(tmp_path, keys=[0, 1])
    assert write_card(folder) == folder.join("README.md")
    lying = len(list((tmp_path / "out" / "examples").glob("*.parquet")))
    assert lying == 5  # of which three hold replaced rows
    read = datasets.load_dataset(folder.uri, split="train", cache_dir=str(tmp_path / "cache"))
    assert set(read["question"]) == {"What is cold, 0?", "What is cold, 1?"}
    assert read.num_rows == 6
    discard_card(folder)
    assert not folder.exists("README.md")


def test_the_lock_says_which_commit_of_a_model_it_was(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    folder.write_text("recipe.lock.yaml", lock("0123abcd"))
    text = dataset_card(card_facts(open_dataset(folder)), CardLinks([], ""))
    assert "| `0123abcd` | Apache-2.0 |" in text
    assert "raygen apply recipe.yaml --locked --out again" in text
    assert "`recipe.lock.yaml` pins" in text
    assert "configs" not in text
    assert "too many files to be listed" in text


def test_another_readme_is_left_alone(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    folder.write_text("README.md", "# My thesis\n")
    with pytest.raises(DatasetError, match="is no card that raygen wrote, and stays as it is"):
        write_card(folder)
    discard_card(folder)
    assert folder.read_text("README.md") == "# My thesis\n"


def test_a_dataset_without_rows_has_no_card(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no finished row of its newest recipe yet"):
        write_card(write_dataset(tmp_path, keys=[]))
    with pytest.raises(DatasetError, match="no dataset in"):
        write_card(Folder.at(tmp_path / "nowhere"))
