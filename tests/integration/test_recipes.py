"""The methods' small recipes from end to end: as a user runs them, on fewer rows.

Here the bundled model runs in plain transformers, which starts sooner than vLLM. `make test` runs
the one with the most ops, and two others on scripted answers (tests/local/recipes); `make
test-long` runs all of them, also as they stand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"
SMALL = {
    "scotd": RECIPES / "scotd" / "scotd-small.yaml",
    "multiview": RECIPES / "counterfactual-multiview" / "counterfactual-multiview-small.yaml",
    "cod": RECIPES / "cod" / "cod-small.yaml",
    "mysteries": RECIPES / "cot-mysteries" / "cot-mysteries-small.yaml",
    "gsm8k": RECIPES / "gsm8k" / "gsm8k-small.yaml",
    "code": RECIPES / "code" / "code-small.yaml",
}
QUICK = ("--profile", str(RECIPES / "profiles" / "no-vllm.yaml"))

pytestmark = [pytest.mark.bundled, pytest.mark.timeout(900)]


def apply(name: str, address: str, *words: str) -> dict[str, Any]:
    """`raygen apply` of a small recipe; its summary."""
    command = [sys.executable, "-m", "raygen.cli", "apply", str(SMALL[name]), "--yes", "--json"]
    done = subprocess.run(
        [*command, "--address", address, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    rows = summary["rows"]
    assert rows["kept"] + rows["dropped"] + rows["failed"] + rows["pending"] == rows["source"]
    assert rows["failed"] == 0
    return summary


def examples(folder: Path) -> pl.DataFrame:
    return pl.read_delta(str(folder / "examples"))


def check_scotd(made: pl.DataFrame) -> None:
    assert (made["label"] == made["answer"]).all(), "a rationale of another answer was kept"
    assert made["rationale"].str.len_chars().min() > 0
    assert made["logprob"].null_count() == 0
    assert made["agreement"].is_between(0, 1).all()


def check_multiview(made: pl.DataFrame) -> None:
    assert set(made["view"]) <= {
        "positive", "negative", "counterfactual_positive", "counterfactual_negative"
    }  # fmt: skip
    for row in made.iter_rows(named=True):
        assert row["label"] == row["answer"]
        if row["variant"] == "counterfactual":
            assert row["question"] != row["original"]
            assert row["answer"] == row["target"] != row["original_answer"]
            assert row["agreement"] >= 0.6
            assert "[MASK]" not in row["question"]


def check_cod(made: pl.DataFrame, pairs: int) -> None:
    groups = made.group_by("group").agg(pl.col("variant"), pl.col("label"), pl.col("text"))
    assert len(groups) == 2 * pairs
    for variants, labels, texts in groups.select("variant", "label", "text").iter_rows():
        assert sorted(variants) == ["counterfactual", "original"]
        assert sorted(labels) == ["negative", "positive"], "the edit doesn't change the label"
        assert len(set(texts)) == 2
    originals = made.filter(pl.col("variant") == "original")
    assert Counter(originals["label"]) == {"negative": pairs, "positive": pairs}
    for row in made.iter_rows(named=True):
        soft = json.loads(row["soft_labels"])
        assert max(soft, key=soft.__getitem__) == row["label"], "the teacher sees it otherwise"


def check_mysteries(made: pl.DataFrame) -> None:
    plain = {row["key"]: row for row in made.iter_rows(named=True) if row["node"] == "plain"}
    assert plain
    for row in made.iter_rows(named=True):
        if row["node"] == "masked_40":
            assert "[MASK]" in row["rationale"]
            assert row["original_rationale"] == plain[row["key"]]["rationale"]
        if row["node"] == "unknown_5":
            assert row["rationale"].split() == ["<unk>"] * 5
        if row["node"] == "human":
            assert all(word in row["original_rationale"] for word in row["rationale"].split())


@pytest.mark.slow
def test_scotd_small(ray_address: str, tmp_path: Path) -> None:
    words = ("--set", "limit=4", "--set", "n=3", "--set", "train=null")
    apply("scotd", ray_address, *QUICK, *words, "--out", str(tmp_path))
    check_scotd(examples(tmp_path))


def test_counterfactual_multiview_small(ray_address: str, tmp_path: Path) -> None:
    words = ("--set", "limit=1", "--set", "graph.counterfactual.n=4")
    words += ("--set", "graph.consistent.samples=3", "--out", str(tmp_path))
    apply("multiview", ray_address, *QUICK, *words)
    made = examples(tmp_path)
    assert len(made) > 0
    check_multiview(made)


@pytest.mark.slow
def test_gsm8k_small(ray_address: str, tmp_path: Path) -> None:
    words = ("--set", "limit=6", "--set", "n=2")
    apply("gsm8k", ray_address, *QUICK, *words, "--out", str(tmp_path))
    made = examples(tmp_path)
    assert len(made) > 0
    for answer, solution, rationale in made.select("answer", "solution", "rationale").iter_rows():
        assert solution.endswith(f"#### {answer}")
        assert answer in rationale


@pytest.mark.slow
def test_code_small(ray_address: str, tmp_path: Path) -> None:
    words = ("--set", "limit=6", "--set", "n=2")
    apply("code", ray_address, *QUICK, *words, "--out", str(tmp_path))
    made = examples(tmp_path)
    assert len(made) > 0
    assert all(made["correct"])
    for program, tests in made.select("program", "tests").iter_rows():
        exec("\n".join([program, *tests]), {})  # noqa: S102 - it has passed them in the sandbox


@pytest.mark.slow
def test_cod_small(ray_address: str, tmp_path: Path) -> None:
    apply("cod", ray_address, *QUICK, "--set", "pairs=1", "--out", str(tmp_path))
    check_cod(examples(tmp_path), pairs=1)
    assert (tmp_path / "student" / "final" / "student.json").exists()


@pytest.mark.slow
def test_cot_mysteries_small(ray_address: str, tmp_path: Path) -> None:
    out = tmp_path / "made"
    words = ("--set", "limit=4", "--set", "train=null", "--set", f"out={out}")
    apply("mysteries", ray_address, *QUICK, *words)
    check_mysteries(examples(out))


@pytest.mark.slow
def test_cot_mysteries_small_with_the_key_tokens_of_its_own_student(
    ray_address: str, tmp_path: Path
) -> None:
    out = tmp_path / "made"
    words = (*QUICK, "--set", "limit=4", "--set", "epochs=1", "--set", f"out={out}")
    no_report = ("--set", "train.evaluate={}")
    apply("mysteries", ray_address, *words, *no_report, "--variant", "before")
    check_mysteries(examples(out))
    assert (out / "student-before" / "final" / "student.json").exists()
    again = (*words, "--set", "train=null", "--variant", "key-tokens")
    apply("mysteries", ray_address, *again)
    keys = examples(Path(f"{out}-key-tokens"))
    assert set(keys["node"]) == {"key", "key_shuffled"}
    for row in keys.iter_rows(named=True):
        found = json.loads(row["key_tokens"])
        assert 0 < len(found) <= 5
        for token in found:
            assert row["original_rationale"][token["start"] : token["end"]] == token["text"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scotd", "multiview", "cod"])
def test_as_they_stand(name: str, ray_address: str, tmp_path: Path) -> None:
    apply(name, ray_address, "--out", str(tmp_path))
    made = examples(tmp_path)
    {"scotd": check_scotd, "multiview": check_multiview, "cod": lambda m: check_cod(m, 2)}[name](
        made
    )
