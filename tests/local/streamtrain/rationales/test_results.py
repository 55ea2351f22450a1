"""Blind sheets: made, filled in by people or a judge, and un-blinded."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raygen.engines.base import Completion, EngineSpec
from raygen.engines.registry import start_engine
from streamtrain.cli.main import main
from streamtrain.errors import InputError
from streamtrain.evaluation.statistics import cohen_kappa, sign_test
from streamtrain.rationales.annotations import Annotations, read_annotations
from streamtrain.rationales.judge_model import JudgeModel, judge_with, read_verdict
from streamtrain.rationales.results import count_verdicts, result_remarks, table
from streamtrain.rationales.sheet import (
    SheetItem,
    SheetKey,
    make_key,
    read_key,
    sheet_csv,
    sheet_page,
    write_sheet,
)
from tests.local.streamtrain.analysis.test_compare import make_run

COUNT = 12


def cli(*words: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that wrote out rationales for the questions of held.jsonl."""
    run = make_run(tmp_path, "run", "tiny", [True] * COUNT)
    held = [
        {
            "question": f"Q {number}",
            "choices": ["a", "b"],
            "answer": 1,
            "rationale": f"Teacher's\n own {number}." if number else None,
        }
        for number in range(COUNT)
    ]
    (tmp_path / "held.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
    predictions = (run / "evaluations" / "held" / "predictions.jsonl").read_text().splitlines()
    written = [
        {"key": json.loads(line)["key"], "rationale": f"Student's {number}." if number > 1 else ""}
        for number, line in enumerate(predictions)
    ]
    (run / "evaluations" / "held" / "rationales.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in written)
    )
    return run


def item(number: int, student: str = "left", **more: Any) -> SheetItem:
    side = "left" if student == "left" else "right"
    texts = {"left": f"left {number}", "right": f"right {number}", **more}
    return SheetItem(
        f"q{number}", "Why?", ("a", "b"), 0, texts["left"], texts["right"], side, texts.get("group")
    )


def key_of(*items: SheetItem) -> SheetKey:
    return SheetKey("tiny", "run", "held", "rationale", 0, items)


def test_a_sheet_is_blind_and_its_key_is_not(run: Path, tmp_path: Path) -> None:
    done = cli("sheet", run, "--data", tmp_path / "held.jsonl", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{COUNT - 1} questions")
    key = read_key(tmp_path / "out" / "key.json")
    rows = list(csv.DictReader((tmp_path / "out" / "sheet.csv").open(encoding="utf-8-sig")))
    assert [row["item"] for row in rows] == [one.item for one in key.items]
    for row, one in zip(rows, key.items, strict=True):
        theirs = row["right" if one.student == "left" else "left"]
        student_text = row[one.student]
        assert theirs.startswith("Teacher's own ")
        assert student_text in (theirs.replace("Teacher's own", "Student's"), "(nothing)")
        assert (row["options"], row["answer"]) == ("(A) a  (B) b", "(B) b")
        assert (row["verdict"], row["comment"]) == ("", "")
    assert sum(one.student == "left" for one in key.items) in (5, 6)
    # Sides come in no order that could be guessed from the first rows.
    assert len({one.student for one in key.items[:5]}) == 2
    for file in ("sheet.csv", "sheet.html"):
        text = (tmp_path / "out" / file).read_text(encoding="utf-8").casefold()
        assert 'student"' not in text
        assert str(run).casefold() not in text
    repeated = cli("sheet", run, "--data", tmp_path / "held.jsonl", "--out", tmp_path / "out")
    assert repeated.exit_code == 2
    assert "has a sheet already" in repeated.stderr


def test_the_seed_draws_the_questions_and_the_sides(run: Path, tmp_path: Path) -> None:
    held = tmp_path / "held.jsonl"
    one, same, other = (make_key(run, held, "rationale", 6, seed) for seed in (1, 1, 2))
    assert one == same
    assert len(one.items) == 6
    assert {i.question for i in one.items} != {i.question for i in other.items}
    assert not {i.item for i in one.items} & {i.item for i in other.items}


def test_nothing_to_compare_says_what_to_do(run: Path, tmp_path: Path) -> None:
    held = tmp_path / "held.jsonl"
    with pytest.raises(InputError, match=r"column 'why'; found answer, choices, question"):
        make_key(run, held, "why", 5, 0)
    (run / "evaluations" / "held" / "rationales.jsonl").write_text("")
    with pytest.raises(InputError, match="wrote no rationale for 11 of its questions"):
        make_key(run, held, "rationale", 5, 0)
    (run / "evaluations" / "held" / "rationales.jsonl").unlink()
    with pytest.raises(InputError, match=r"run `streamtrain eval .*held.jsonl --rationales` first"):
        make_key(run, held, "rationale", 5, 0)


def test_no_cell_of_a_sheet_is_a_formula() -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)"]
    rows = csv.DictReader(io.StringIO(sheet_csv([item(n, left=t) for n, t in enumerate(texts)])))
    assert [row["left"] for row in rows] == [f"'{text}" for text in texts]


def test_no_text_of_a_page_is_markup() -> None:
    page = sheet_page([item(0, left="</script><script>alert(1)</script>", right="ITEMS & é")])
    assert page.count("</script>") == 2
    data = page.partition('id="data">')[2].partition("</script>")[0]
    (shown,) = json.loads(data)
    assert (shown["left"], shown["right"]) == (
        "</script><script>alert(1)</script>",
        "ITEMS & é",
    )
    assert "student" not in shown
    assert "http" not in page


def fill(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def test_a_filled_in_sheet_reads_whatever_saved_it(tmp_path: Path) -> None:
    rows = [("q1", "Left", "good"), ("q2", " tie ", ""), ("q3", "", "hm; odd")]
    expected = Annotations(
        "ann", {"q1": "left", "q2": "tie"}, {"q1": "good", "q3": "hm; odd"}, ("row 4",), 1, 0
    )
    for mark in ",;\t":
        text = io.StringIO()
        lines = csv.writer(text, delimiter=mark)
        lines.writerows([("item", "verdict", "comment"), *rows, ("", "", "")])
        path = fill(tmp_path / "ann.csv", text.getvalue(), "utf-8-sig")
        assert read_annotations(path, ["q1", "q2", "q3"]) == expected
    found = read_annotations(path, ["q1", "q2", "q3", "q4"])
    assert found.missing == ("row 4", "item q4 (not on the sheet)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item,verdict\nq1,lef\nq9,left\nq2,tie\nq2,tie\n", "3 rows are bad: row 2: verdict is"),
        ("item,verdict\nq1,left\nq9,left\n", "row 3: the key has no item 'q9'"),
        ("item,verdict\nq1,left\nq1,tie\n", "row 3: item q1 a second time"),
        ("item,verdict\nq1,\n", "has no verdict"),
        ("item,comment\nq1,\n", "no column verdict"),
        ('item,verdict\nq1,"left', "is no CSV"),
    ],
)
def test_bad_verdicts_are_named_by_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_annotations(fill(tmp_path / "ann.csv", text), ["q1", "q2"])
    with pytest.raises(InputError, match="saved as CSV in UTF-8"):
        read_annotations(fill(tmp_path / "ann.csv", "item,verdict\nq1,é", "latin-1"), ["q1"])


def test_verdicts_are_counted_for_the_student() -> None:
    key = key_of(*(item(n, "left" if n % 2 else "right") for n in range(8)))
    # The student is right on q0, q2, ...: so these are win, win, loss, tie.
    annotations = Annotations(
        "ann", {"q0": "right", "q1": "left", "q2": "left", "q3": "tie"}, {}, (), 2, 1
    )
    found = count_verdicts(key, [annotations])
    (rater,) = found.raters
    assert rater.tally is not None
    assert rater.tally.items == 4
    counts = (rater.tally.win.count, rater.tally.tie.count, rater.tally.loss.count)
    assert counts == (2, 1, 1)
    assert rater.tally.win.share == 0.5
    # Wilson's interval of 2 of 4.
    assert (rater.tally.win.low, rater.tally.win.high) == pytest.approx((0.150, 0.850), abs=1e-3)
    # Heads at least twice of three, or at most once.
    assert rater.tally.p == 1.0
    assert (found.together, found.agreement) == (None, None)


def test_a_sign_test_leaves_ties_out() -> None:
    assert sign_test(9, 1) == pytest.approx(2 * (1 + 10) / 1024)
    assert sign_test(0, 0) == 1.0


def test_pairs_are_one_piece_of_evidence() -> None:
    key = key_of(*(item(n, group=str(n // 2)) for n in range(20)))
    verdicts = {f"q{n}": "left" if n // 2 % 2 else "right" for n in range(20)}
    (rater,) = count_verdicts(key, [Annotations("ann", verdicts)]).raters  # type: ignore[arg-type]
    assert rater.tally is not None
    wide = rater.tally.win.high - rater.tally.win.low
    assert wide > 0.55  # ten pairs; Wilson's of twenty would be 0.40 wide


def test_kappa_is_agreement_beyond_chance() -> None:
    # Cohen's classic table: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no.
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert cohen_kappa(pairs) == pytest.approx(0.4)
    assert cohen_kappa([("y", "y")] * 3) is None


def test_raters_are_put_together_by_item() -> None:
    key = key_of(*(item(n) for n in range(4)))
    ann = Annotations("ann", {"q0": "left", "q1": "left", "q2": "right", "q3": "tie"})
    bob = Annotations("bob", {"q0": "left", "q1": "right", "q2": "right"}, {}, ("row 5",))
    eve = Annotations("eve", {"q0": "right", "q2": "tie"})
    found = count_verdicts(key, [ann, bob, eve])
    assert found.together is not None
    together = found.together
    assert (together.win.count, together.tie.count, together.loss.count) == (1, 2, 1)
    assert found.agreement is not None
    same = (2 / 3 + 0 + 0) / 3
    assert (found.agreement.pairs, found.agreement.same) == (3, pytest.approx(same))
    # ann and bob: 2 of 3 alike; ann says win, win, loss and bob win, loss, loss: 4/9 by chance.
    first = (2 / 3 - 4 / 9) / (1 - 4 / 9)
    # ann and eve: win against loss, loss against tie; nothing alike, 1/4 by chance. So bob and eve.
    others = (0 - 1 / 4) / (1 - 1 / 4)
    assert found.agreement.kappa == pytest.approx((first + 2 * others) / 3)
    assert "bob: no verdict for 1 of 4 items: row 5" in result_remarks(found)
    assert [row[0] for row in table(found).rows] == ["ann", "bob", "eve", "together"]


def test_people_fill_in_a_sheet_and_it_is_kept_with_the_student(run: Path, tmp_path: Path) -> None:
    key = make_key(run, tmp_path / "held.jsonl", "rationale", 10, 0)
    write_sheet(key, tmp_path / "out")
    for name, always in (("ann", "left"), ("bob", None)):
        rows = [
            (i.item, always or i.student, "hm" if n == 0 else "") for n, i in enumerate(key.items)
        ]
        text = "".join(f"{','.join(row)}\n" for row in [("item", "verdict", "comment"), *rows])
        fill(tmp_path / f"{name}.csv", text)
    sheets = [tmp_path / "ann.csv", tmp_path / "bob.csv"]
    done = cli("verdicts", tmp_path / "out" / "key.json", *sheets)
    assert done.exit_code == 0, done.output
    ann, bob, both = (line.split() for line in done.stdout.splitlines()[2:5])
    assert (ann[0], ann[1], ann[2]) == ("ann", "10", "50.0%")
    assert ann[-4:] == ["10", ":", "0", f"{2 / 1024:.3g}"]
    assert (bob[0], bob[2], both[0]) == ("bob", "100.0%", "together")
    assert "Cohen's kappa 0.00" in done.stdout
    record = json.loads((run / "evaluations" / "held" / "verdicts.json").read_text())
    assert record["student"] == "tiny"
    assert record["raters"][1]["tally"]["p"] == pytest.approx(2 / 1024)
    first = record["verdicts"][0]
    assert first["student"].startswith(("Student's", "(nothing)"))
    assert first["teacher"].startswith("Teacher's")
    assert first["outcomes"]["bob"] == "win"
    assert first["comments"] == {"ann": "hm", "bob": "hm"}
    as_json = json.loads(cli("verdicts", tmp_path / "out" / "key.json", *sheets, "--json").stdout)
    assert as_json == {name: value for name, value in record.items() if name != "verdicts"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give filled-in sheets, or a judge"),
        (["s.csv", "--backend", "vllm"], "name it with --judge"),
        (["--judge", "m", "--backend", "vllm", "--url", "http://h"], "--url is for"),
        (["a/s.csv", "b/s.csv"], "several sheets are named s"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, words: list[str], message: str) -> None:
    write_sheet(key_of(item(0)), tmp_path)
    done = cli("verdicts", tmp_path / "key.json", *words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_key_that_is_none_says_so(tmp_path: Path) -> None:
    write_sheet(key_of(item(0)), tmp_path)
    for text in ("{}", "[]", "no", '{"version": 9}'):
        with pytest.raises(InputError, match=r"can't be read as a key|version 9"):
            read_key(fill(tmp_path / "key.json", text))


def test_verdicts_on_a_run_that_is_gone_are_refused(tmp_path: Path) -> None:
    write_sheet(key_of(item(0)), tmp_path)
    done = cli(
        "verdicts", tmp_path / "key.json", fill(tmp_path / "a.csv", "item,verdict\nq0,tie\n")
    )
    assert done.exit_code == 2
    assert "there is no evaluation run/evaluations/held any more" in done.stderr


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("It is clearer.\nVerdict: 1", "stop", "1"),
        ("It is clearer.\n**Verdict: 2**\n", "stop", "2"),
        ("> verdict:  Tie.", "stop", "tie"),
        ("Verdict: 1\nSo, again:\nVerdict: 1", "stop", "1"),
        ("Verdict: 1\nNo, wait.\nVerdict: 2", "stop", None),
        ("Verdict: 1 or 2", "stop", None),
        ("Verdict: 12", "stop", None),
        ("Verdict: rationale 1", "stop", None),
        ("My verdict: 1", "stop", None),
        ("Rationale 1 is better.", "stop", None),
        ("1", "stop", None),
        ("", "stop", None),
        ("Well.\nVerdict: 1", "length", None),
        ("Verdict: 1\nBecause it", "length", "1"),
    ],
)
def test_a_verdict_is_read_strictly(text: str, finish: str, expected: str | None) -> None:
    assert read_verdict(Completion(text, finish)) == expected


async def test_a_judge_compares_in_both_orders() -> None:
    """It likes what is good wherever it stands, the first place otherwise; one it can't say."""

    def rule(first: str, second: str, reply: Any) -> dict[str, Any]:
        return {"match": rf"Rationale 1: {first}\n\nRationale 2: {second}\n", "reply": reply}

    args = {
        "answers": [
            {"match": "Why long", "reply": {"error": "prompt_too_long"}},
            rule("good", ".*", "Better.\nVerdict: 1"),
            rule(".*", "good", "Better.\nVerdict: 2"),
            rule("same", ".*", "Verdict: tie"),
            rule(".*", "mumble", "Verdict: maybe 2"),
            rule(".*", ".*", "Verdict: 1"),
        ]
    }
    engine = await start_engine(EngineSpec("judge", "fake", backend="fake", args=args))
    items = [
        item(0, "left", left="good", right="bad"),
        item(1, "left", left="bad", right="good"),
        item(2, "left", left="bad", right="worse"),
        item(3, "left", left="same", right="same"),
        item(4, "left", left="same", right="bad"),
        item(5, "left", left="bad", right="mumble"),
        SheetItem("q6", "Why long?", ("a", "b"), 0, "x", "y", "left", None),
    ]
    found = await judge_with(engine, "m", items)
    assert found.verdicts == {"q0": "left", "q1": "right", "q2": "tie", "q3": "tie", "q4": "tie"}
    # q2 went to the first place twice; q4 was a tie in one order and lost to it in the other.
    assert (found.first, found.second, found.swayed) == (1, 0, 2)
    assert [one.split()[1] for one in found.missing] == ["q5", "q6"]
    assert found.answers["q0"] == ("Better.\nVerdict: 1", "Better.\nVerdict: 2")
    counted = count_verdicts(key_of(*items), [found])
    (rater,) = counted.raters
    assert rater.tally is not None
    tally = rater.tally
    assert (tally.items, tally.win.count, tally.tie.count, tally.loss.count) == (5, 1, 3, 1)
    assert table(counted).columns[-1] == "order-swayed ties"
    assert counted.to_json()["verdicts"][0]["answers"]["m"][0] == "Better.\nVerdict: 1"


async def test_a_judge_that_cannot_be_read_has_no_figures() -> None:
    args = {"answers": ["I like both."]}
    engine = await start_engine(EngineSpec("judge", "fake", backend="fake", args=args))
    found = count_verdicts(key_of(item(0)), [await judge_with(engine, "m", [item(0)])])
    assert found.raters[0].tally is None
    assert table(found).rows[0][:3] == ("m", "0", "")
    missing, unread = result_remarks(found)
    assert missing == "m: no verdict for 1 of 1 items: item q0 (an answer can't be read)"
    assert "no answer could be read, the first is 'I like both.'" in unread
    assert math.isclose(found.raters[0].p_of_place, 1.0)


def test_an_endpoint_is_a_judge_without_a_gpu() -> None:
    spec = JudgeModel("big", None, "http://localhost:8000/v1").spec
    assert (spec.backend, spec.gpus, spec.args) == (
        "openai",
        0,
        {"base_url": "http://localhost:8000/v1"},
    )
