"""The report: what it shows of a dataset and of students, and what can't get into it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from raygen.core.errors import UserError
from raygen.core.task import TASKS
from raygen.dataset.commit import Committer
from raygen.dataset.storage import Folder
from raygen.inspection.opened import open_dataset
from raygen.inspection.report import render_report
from raygen.inspection.report.cards import card_of
from raygen.inspection.report.distributions import distinct, histogram
from raygen.inspection.report.examples import MOST, ShownRow, choose_rows
from raygen.inspection.report.flow import flow_chart
from raygen.inspection.report.training_runs import read_student_runs
from tests.support.report_datasets import COLUMNS, made_plan, row, write_dataset

TASK = TASKS["multiple_choice"]


def shown(**data: Any) -> ShownRow:
    return ShownRow(
        "kept", "k", "right", "positive", "", "", {**row("Where do fish live?"), **data}
    )


def fields(card: Any) -> dict[str, list[tuple[str, str]]]:
    return {field.name: list(field.pieces) for field in card.fields}


def write_run(folder: Path, **result: Any) -> Path:
    folder.mkdir(parents=True)
    steps = [{"event": "step", "time": 10.0 + n, "step": n, "loss": 3.0 / n, "lr": 0.001,
              "rows": 8 * n, "wait_s": 0.5} for n in range(1, 6)]  # fmt: skip
    events = [{"event": "start", "time": 10.0}, *steps, {**steps[-1], "loss": 0.25}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def write_evaluation(run: Path, name: str, correct: int) -> None:
    folder = run / "evaluations" / name
    folder.mkdir(parents=True)
    figures = {"accuracy": correct / 10, "low": 0.1, "high": 0.9, "chance": 0.25,
               "correct": correct, "total": 10, "unparsed": 1}  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(figures))


def test_the_command_writes_into_the_datasets_folder(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", [row("Where do fish live?"), row("Where is it wet?")])
    done = CliRunner().invoke(main, ["report", folder])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "data" / "report.html").read_text("utf-8")
    assert "Where do fish live?" in page
    assert "wrong_answer" in page
    assert "Plan against actual" in page
    assert "Training" not in page
    plan = tmp_path / "data" / "plan.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "estimate": {}}))
    done = CliRunner().invoke(main, ["report", folder])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "data" / "report.html").read_text("utf-8")
    assert "Plan against actual" not in page
    other = tmp_path / "other.html"
    assert CliRunner().invoke(main, ["report", folder, "--out", str(other)]).exit_code == 0
    assert other.read_text("utf-8") == page


def test_a_folder_without_a_dataset_is_the_users_mistake(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "no dataset" in done.output


def test_a_dataset_without_an_example_has_a_report_too(tmp_path: Path) -> None:
    dropped = render_report(write_dataset(tmp_path / "dropped", [row("Where do fish live?")]))
    assert "Where do fish live?" in dropped
    assert "Distributions" not in dropped
    begun = tmp_path / "begun"
    begun.mkdir()
    plan = made_plan()
    Committer(Folder.at(begun), plan.hash, COLUMNS, "run-1").start({"source": 3})
    (begun / "plan.json").write_text(json.dumps(plan.to_json()))
    page = render_report(str(begun))
    assert re.search(r"<strong>3</strong>\s*pending", page)


def test_nothing_is_loaded_and_only_the_pages_script_may_run(tmp_path: Path) -> None:
    page = render_report(write_dataset(tmp_path / "data", [row("a?"), row("b?")]))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(scripts) == len(styles) == 1
    for text in (*scripts, *styles):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"sha256-{digest}" in policy.replace("&#43;", "+")
    assert "default-src &#39;none&#39;" in policy
    assert not re.search(r'\s(src|href|xlink:href|action)="(?!#|data:)', page)
    assert not re.search(r'<[a-z][^>]*\s(style|on\w+)="', page)


def test_what_the_data_says_is_escaped_wherever_it_stands(tmp_path: Path) -> None:
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    folder = write_dataset(
        tmp_path / "data",
        [row(bad, choices=[bad, "b"]), row(f"{bad} again")],
        [{"rationale": f"\x00{bad}\u202e", "view": bad, "original": bad, "votes": {bad: 1}}],
        said=bad,
        reject=(bad, bad),
    )
    page = render_report(folder)
    assert len(re.findall(r"<script\b", page)) == 1
    assert "<img" not in page
    assert "\x00" not in page
    assert "\u202e" not in page


def test_texts_are_cut_and_the_page_says_so() -> None:
    card = card_of(shown(rationale="x" * 5_000_000), TASK)
    ((_, text),) = fields(card)["rationale"]
    assert text.endswith("… (4,998,500 more characters)")
    assert len(text) < 1600


def test_masks_diffs_and_votes_are_marked() -> None:
    card = card_of(
        shown(
            question="Where do birds live?",
            original="Where do fish live?",
            masked="Where do [MASK] live?",
            votes={"counts": {"pond": 3, "sky": 1}, "unread": 1},
        ),
        TASK,
    )
    assert ("del", "fish") in card.title
    assert ("ins", "birds") in card.title
    assert ("mark", "[MASK]") in fields(card)["masked"]
    votes = fields(card)["votes"]
    assert ("dim", "  3 of 5") in votes
    assert any(kind == "bar" for kind, _ in votes)


def test_the_spans_of_a_counterfactual_are_marked_in_the_text_that_was_masked() -> None:
    spans = [{"start": 9, "end": 13}]
    card = card_of(shown(question="Do birds swim?", original="Where do fish live?",
                         masked_spans=spans), TASK)  # fmt: skip
    assert ("mark", "[fish]") in fields(card)["masked_spans"]


def test_a_column_named_like_an_ops_that_holds_something_else_is_shown_as_it_is() -> None:
    card = card_of(shown(masked_spans=[1, 2]), TASK)
    assert fields(card)["masked_spans"] == [("", "[1, 2]")]


def test_options_note_the_right_and_the_predicted_answer() -> None:
    card = card_of(shown(predicted=1, original_answer=0), TASK)
    assert card.options == (("A", "in a pond", "right answer"), ("B", "in the sky", "predicted"))


def test_the_sample_is_spread_over_views_and_reasons(tmp_path: Path) -> None:
    sources = [row(f"Question {n}?") for n in range(MOST + 40)]
    views = [{"rationale": "a", "view": "positive"}, {"rationale": "b", "view": "negative"}]
    sample = choose_rows(open_dataset(write_dataset(tmp_path / "data", sources, views)))
    kept = [row for row in sample.rows if row.status == "kept"]
    assert (len(kept), sample.examples) == (MOST, 2 * (MOST + 39))
    assert sum(row.view == "negative" for row in kept) == MOST // 2
    dropped = [row for row in sample.rows if row.status == "dropped"]
    assert (len(dropped), sample.rejects) == (MOST, MOST + 40)
    assert dropped[0].data["choices"] == ["in a pond", "in the sky"]
    assert dropped[0].completions == ()  # the reject is of another node than the call


def test_ribbons_end_where_the_blocks_of_their_rows_are(tmp_path: Path) -> None:
    facts = open_dataset(write_dataset(tmp_path / "data", [row("a?"), row("b?"), row("c?")]))
    drawing = ElementTree.fromstring(flow_chart(facts.plan, facts.status, 330))  # noqa: S314 - our own picture
    width, height = float(drawing.attrib["width"]), float(drawing.attrib["height"])
    titles = {text.text for text in drawing.iterfind("text[@class='title']")}
    assert titles == {"source", "think", "right", "3 dropped", "dataset"}
    assert "wrong_answer 3" in {text.text for text in drawing.iterfind("text")}
    for text in drawing.iterfind("text"):
        assert 0 < float(text.attrib["x"]) < width
        assert 0 < float(text.attrib["y"]) < height
    *_, block = drawing.iterfind("rect[@class='dropped']")
    left, top, right = (float(block.attrib[name]) for name in ("x", "y", "width"))
    (ribbon,) = drawing.iterfind("path[@class='dropped']")
    end = re.search(r" ([\d.]+),([\d.]+) H([\d.]+) ", ribbon.attrib["d"])
    assert end is not None
    assert [float(n) for n in end.groups()] == pytest.approx([left, top, left + right], abs=0.2)


def bins(svg: str) -> dict[str, int]:
    """How many numbers the picture says are in each bin."""
    return {where: int(n) for where, n in re.findall(r'"n: ([^;]+); rows: (\d+); group', svg)}


def test_integers_are_centred_in_their_bins() -> None:
    axes = {"x": "n", "y": "rows"}
    few = histogram({"a": [1, 1, 3]}, "few", axes, integers=True)
    assert bins(few) == {"0.5 – 1.5": 2, "2.5 – 3.5": 1}
    many = histogram({"a": [0, 1, 99, 100, 100]}, "many", axes, integers=True)
    assert sum(bins(many).values()) == 5
    shares = histogram({"a": [0.0, 0.5, 1.0, 1.0]}, "shares", axes)
    assert bins(shares) == {"0 – 0.05": 1, "0.5 – 0.55": 1, "0.95 – 1": 2}


def test_small_groups_are_put_together() -> None:
    groups = {name: [1.0] * size for size, name in enumerate("abcdefg", 1)}
    picture = histogram(groups, "groups", {"x": "n", "y": "rows"})
    assert set(re.findall(r"; group: (\w+);", picture)) == {"g", "f", "e", "d", "others"}
    assert '"n: 0.95 – 1; rows: 6; group: others' in picture


def test_diversity_is_the_share_of_word_pairs_that_repeat_nothing() -> None:
    assert distinct(["a b c", "x y z"]) == 1.0
    assert distinct(["a b c", "A b c"]) == 0.5
    assert distinct(["a b c"]) is None


def test_students_are_shown_with_curves_accuracies_and_the_matrix(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "data", [row("a?"), row("b?")])
    run = write_run(tmp_path / "data" / "student")
    write_evaluation(run, "near", 7)
    write_evaluation(run, "far", 3)
    write_evaluation(run, "far.vote30", 4)
    (run / "lens.png").write_bytes(b"\x89PNG")
    page = render_report(folder)
    for words in ("Loss by step", "70.0 %", "10.0 % to 90.0 %", "Out of domain", "far.vote30",
                  "data:image/png;base64,iVBORw=="):  # fmt: skip
        assert words in page
    (student,) = read_student_runs([run])
    assert [step["loss"] for step in student.steps][-1] == 0.25
    assert len(student.steps) == 5


def test_each_seed_is_a_run(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / "s" / f"seed-{seed}")
    assert [run.label for run in read_student_runs([tmp_path / "s"])] == ["s/seed-0", "s/seed-1"]


def test_a_run_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no metrics"):
        read_student_runs([tmp_path])
    run = write_run(tmp_path / "run")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"event": "step"}\n')
    with pytest.raises(UserError, match=r"metrics.jsonl:8: no event"):
        read_student_runs([run])
    (run / "metrics.jsonl").unlink()
    (run / "result.json").write_text("[")
    with pytest.raises(UserError, match=r"result.json, line 1, column 2: Expecting value"):
        read_student_runs([run])
