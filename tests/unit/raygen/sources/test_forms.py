"""Published data goes in as it is: a few rows of each form, with the recipe's lines for it.

The rows are of the published shapes, their words are our own. `docs/data.md` has the same lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygen.core import TaskName, make_task
from raygen.recipe import SourceSpec
from raygen.sources import SourceError, scan_columns, take_rows

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Form:
    """Rows as they are published, the lines of `source`, and what the first rows become."""

    name: str
    rows: Sequence[Row]
    expected: Sequence[Row]
    columns: Mapping[str, Any] = field(default_factory=dict)
    task: TaskName = "multiple_choice"
    labels: Sequence[str] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


def lettered(texts: str) -> list[dict[str, str]]:
    words = texts.split()
    return [{"label": label, "text": word} for label, word in zip("ABC", words, strict=True)]


FIRE = {"question": "What is hot?", "choices": ["snow", "fire", "ice"], "answer": 1}
SUM = {"question": "2 + 3?", "answer": "5"}

FORMS = (
    Form(
        "CommonsenseQA, official",
        [{"answerKey": "B", "id": "1afa", "question": {"question_concept": "heat",
          "choices": lettered("snow fire ice"), "stem": "What is hot?"}}],
        [FIRE],
        {"question": "question.stem", "choices": "question.choices", "answer": "answerKey"},
    ),
    Form(
        "CommonsenseQA, hub",
        [{"id": "1", "question": "What is hot?", "question_concept": "heat", "answerKey": "B",
          "choices": {"label": ["A", "B", "C"], "text": ["snow", "fire", "ice"]}}],
        [FIRE],
        {"answer": "answerKey"},
    ),
    Form(
        "ARC with numbers",
        [{"id": "1", "question": {"stem": "What is hot?", "choices": [
            {"text": "snow", "label": "1"}, {"text": "fire", "label": "2"},
            {"text": "ice", "label": "3"}]}, "answerKey": "2"}],
        [FIRE],
        {"question": "question.stem", "choices": "question.choices", "answer": "answerKey"},
    ),
    Form(
        "OpenBookQA, hub",
        [{"id": "1", "question_stem": "What is hot?", "answerKey": "B",
          "choices": {"text": ["snow", "fire", "ice"], "label": ["A", "B", "C"]}}],
        [FIRE],
        {"question": "question_stem", "answer": "answerKey"},
    ),
    Form(
        "HellaSwag",
        [{"ctx": "He lights it.", "endings": ["It snows.", "It burns.", "It rains."],
          "label": "1"},
         {"ctx": "He waits.", "endings": ["Time goes.", "It burns.", "It is."], "label": "0"}],
        [{"question": "He lights it.", "answer": 1}, {"answer": 0}],
        {"question": "ctx", "choices": "endings", "answer": "label"},
    ),
    Form(
        "PIQA",
        [{"goal": "Boil water", "sol1": "freeze it", "sol2": "heat it", "label": 1},
         {"goal": "Make ice", "sol1": "freeze it", "sol2": "heat it", "label": 0}],
        [{"question": "Boil water", "choices": ["freeze it", "heat it"], "answer": 1}],
        {"question": "goal", "choices": ["sol1", "sol2"], "answer": "label"},
    ),
    Form(
        "BoolQ",
        [{"question": "is fire hot", "passage": "Fire is hot.", "answer": True},
         {"question": "is ice hot", "passage": "Ice is cold.", "answer": False}],
        [{"question": "Fire is hot.\n\nis fire hot?", "choices": ["yes", "no"], "answer": 0},
         {"answer": 1}],
        {"question": "{{ passage }}\n\n{{ question }}?"},
        more={"choices": ["yes", "no"]},
    ),
    Form(
        "StrategyQA",
        [{"qid": "q1", "question": "Does fire burn?", "answer": True, "facts": ["It does."]},
         {"qid": "q2", "question": "Does ice burn?", "answer": False, "facts": ["No."]}],
        [{"answer": 1, "facts": ["It does."]}, {"answer": 0}],
        more={"choices": ["no", "yes"]},
    ),
    Form(
        "CSQA2",
        [{"question": "Fire is hot.", "answer": "yes", "confidence": 0.9},
         {"question": "Ice is hot.", "answer": "no", "confidence": 0.8}],
        [{"answer": 0, "confidence": 0.9}, {"answer": 1}],
        more={"choices": ["yes", "no"]},
    ),
    Form(
        "SNLI, official",
        [{"sentence1": "A man runs.", "sentence2": "He moves.", "gold_label": "entailment"},
         *[{"sentence1": f"{at}", "sentence2": "x", "gold_label": "neutral"} for at in range(9)],
         {"sentence1": "A", "sentence2": "B", "gold_label": "-"}],
        [{"text": "A man runs. / He moves.", "label": "entailment"}],
        {"text": "{{ sentence1 }} / {{ sentence2 }}", "label": "gold_label"},
        task="classification",
        labels=["entailment", "neutral", "contradiction"],
    ),
    Form(
        "ANLI",
        [{"uid": "1", "premise": "P", "hypothesis": "H", "label": 0, "reason": "R"},
         {"uid": "2", "premise": "P", "hypothesis": "I", "label": 2, "reason": "S"}],
        [{"text": "P / H", "label": "entailment", "reason": "R"}, {"label": "contradiction"}],
        {"text": "{{ premise }} / {{ hypothesis }}"},
        task="classification",
        labels=["entailment", "neutral", "contradiction"],
    ),
    Form(
        "MedMCQA, from 1",
        [{"question": "What is hot?", "opa": "snow", "opb": "fire", "opc": "ice", "opd": "rain",
          "cop": 2, "exp": "It burns."},
         {"question": "What falls?", "opa": "snow", "opb": "fire", "opc": "sun", "opd": "rain",
          "cop": 4, "exp": None}],
        [{**FIRE, "choices": ["snow", "fire", "ice", "rain"]}, {"answer": 3}],
        {"choices": ["opa", "opb", "opc", "opd"], "answer": "cop"},
    ),
    Form(
        "MedMCQA, from 0",
        [{"question": "What is hot?", "opa": "snow", "opb": "fire", "opc": "ice", "opd": "",
          "cop": 1},
         {"question": "What is cold?", "opa": "snow", "opb": "fire", "opc": "sun", "opd": None,
          "cop": 0}],
        [FIRE, {"answer": 0}],
        {"choices": ["opa", "opb", "opc", "opd"], "answer": "cop"},
    ),
    Form(
        "RACE",
        [{"example_id": "h1.txt", "article": "Fire is hot.", "question": "What is hot?",
          "options": ["snow", "fire", "ice"], "answer": "B"}],
        [{**FIRE, "question": "Fire is hot.\n\nWhat is hot?"}],
        {"question": "{{ article }}\n\n{{ question }}", "choices": "options"},
    ),
    Form(
        "SQuAD",
        [{"id": "1", "context": "Fire is hot.", "question": "What is hot?",
          "answers": {"text": ["Fire", "Fire"], "answer_start": [0, 0]}}],
        [{"question": "Fire is hot.\n\nWhat is hot?", "answer": "Fire"}],
        {"question": "{{ context }}\n\n{{ question }}", "answer": "answers"},
        task="free_text",
    ),
    Form(
        "GSM8K",
        [{"question": "2 + 3?", "answer": "Two and three are 2+3=<<2+3=5>>5.\n#### 5"}],
        [{**SUM, "solution": "Two and three are 2+3=<<2+3=5>>5.\n#### 5"}],
        task="free_text",
    ),
    Form(
        "MATH",
        [{"problem": "2 + 3?", "level": "Level 1", "type": "Algebra",
          "solution": "Adding two and three gives the sum, which is \\boxed{5}."}],
        [{**SUM, "solution": "Adding two and three gives the sum, which is \\boxed{5}."}],
        {"question": "problem", "answer": "solution"},
        task="free_text",
    ),
    Form(
        "messages",
        [{"messages": [{"role": "system", "content": "Be brief."},
                       {"role": "user", "content": "2 + 3?"},
                       {"role": "assistant", "content": "5"}]}],
        [{"question": "System: Be brief.\n\nUser: 2 + 3?", "answer": "5"}],
        {"question": "messages"},
        task="free_text",
    ),
    Form(
        "messages in parts",
        [{"messages": [{"role": "user", "content": [{"type": "text", "text": "2 + 3?"}]},
                       {"role": "assistant", "content": [{"type": "text", "text": "5"}]}]}],
        [SUM],
        {"question": "messages"},
        task="free_text",
    ),
    Form(
        "ShareGPT",
        [{"id": "x", "conversations": [{"from": "human", "value": "2 + 3?"},
                                       {"from": "gpt", "value": "5"}]}],
        [SUM],
        {"question": "conversations"},
        task="free_text",
    ),
    Form(
        "UltraChat",
        [{"id": "0", "data": ["Hi.", "Hello.", "2 + 3?", "5"]}],
        [{"question": "User: Hi.\n\nAssistant: Hello.\n\nUser: 2 + 3?", "answer": "5"}],
        {"question": "data"},
        task="free_text",
    ),
    Form(
        "Alpaca",
        [{"instruction": "Add.", "input": "2 + 3", "output": "5"},
         {"instruction": "Say hello.", "input": "", "output": "Hello."}],
        [{"question": "Add.\n\n2 + 3", "answer": "5"}, {"question": "Say hello."}],
        {"question": "{{ instruction }}\n\n{{ input }}",
         "answer": "output"},
        task="free_text",
    ),
)  # fmt: skip


def check(form: Form, base: Path, name: str) -> None:
    spec = SourceSpec(path=name, columns=dict(form.columns), **form.more)
    task = make_task(form.task, form.labels)
    taken = take_rows(spec, task, base)
    for row, expected in zip(taken.rows, form.expected, strict=False):
        assert {name: row.data.get(name) for name in expected} == expected
    types = scan_columns(spec, base, task=task)
    assert set(task.columns) <= set(types)
    assert set(form.expected[0]) <= set(types)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_published_form_is_read_as_it_is(form: Form, tmp_path: Path) -> None:
    lines = [json.dumps(row) + "\n" for row in form.rows]
    (tmp_path / "q.jsonl").write_text("".join(lines))
    check(form, tmp_path, "q.jsonl")
    pq.write_table(pa.Table.from_pylist([dict(row) for row in form.rows]), tmp_path / "q.parquet")
    check(form, tmp_path, "q.parquet")


def classes(path: Path, column: str, names: list[str], rows: list[dict[str, Any]]) -> None:
    features = {column: {"names": names, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(metadata), path)


def test_sst2_with_the_names_of_its_classes(tmp_path: Path) -> None:
    rows = [{"idx": 0, "sentence": "Bad.", "label": 0}, {"idx": 1, "sentence": "Good.", "label": 1}]
    classes(tmp_path / "s.parquet", "label", ["negative", "positive"], rows)
    spec = SourceSpec(path="s.parquet", columns={"text": "sentence"})
    for labels in (None, ["negative", "positive"], ["positive", "negative"]):
        taken = take_rows(spec, make_task("classification", labels), tmp_path)
        assert [row.data["label"] for row in taken.rows] == ["negative", "positive"]
    other = take_rows(spec, make_task("classification", ["no", "yes"]), tmp_path)
    assert [row.data["label"] for row in other.rows] == ["no", "yes"]
    assert other.keys == taken.keys


def test_ag_news_without_a_class_0_in_its_part(tmp_path: Path) -> None:
    names = ["World", "Sports", "Business", "Sci/Tech"]
    classes(tmp_path / "a.parquet", "label", names, [{"text": "A match.", "label": 1}])
    taken = take_rows(SourceSpec(path="a.parquet"), make_task("classification", names), tmp_path)
    assert taken.rows[0].data["label"] == "Sports"


def test_mmlu_from_the_hub_and_as_its_csv_without_a_header(tmp_path: Path) -> None:
    rows = [{"question": "What is hot?", "choices": ["snow", "fire", "ice", "rain"], "answer": 1}]
    classes(tmp_path / "m.parquet", "answer", ["A", "B", "C", "D"], rows)
    (hub,) = take_rows(SourceSpec(path="m.parquet"), make_task("multiple_choice", None),
                       tmp_path).rows  # fmt: skip
    (tmp_path / "m.csv").write_text("What is hot?,snow,fire,ice,rain,B\n")
    spec = SourceSpec(
        path="m.csv",
        header=["question", "A", "B", "C", "D", "answer"],
        columns={"choices": ["A", "B", "C", "D"]},
    )
    (line,) = take_rows(spec, make_task("multiple_choice", None), tmp_path).rows
    for row in (hub, line):
        assert (row.data["choices"], row.data["answer"]) == (["snow", "fire", "ice", "rain"], 1)


def test_pairs_of_imdb_reviews_as_their_tsv(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text(
        'Sentiment\tText\tbatch_id\nNegative\t"Bad," he said.\t4\nPositive\t"Good," he said.\t4\n'
    )
    columns = {"text": "Text", "label": "Sentiment", "group": "batch_id"}
    spec = SourceSpec(path="p.tsv", columns=columns)
    taken = take_rows(spec, make_task("classification", ["Negative", "Positive"]), tmp_path)
    assert [row.data for row in taken.rows] == [
        {"text": '"Bad," he said.', "label": "Negative", "group": "4"},
        {"text": '"Good," he said.', "label": "Positive", "group": "4"},
    ]


def test_cells_are_never_taken_for_another_option(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'question,choices,answer\nLegs of a bird?,"[""1"",""2"",""3"",""4""]",2\n'
        'Wheels?,"[""5"",""2"",""3"",""1""]",3\n'
    )
    task = make_task("multiple_choice", None)
    with pytest.raises(SourceError, match=r"source\.answer_is: text or index"):
        take_rows(SourceSpec(path="a.csv"), task, tmp_path)
    taken = take_rows(SourceSpec(path="a.csv", answer_is="text"), task, tmp_path)
    assert [row.data["answer"] for row in taken.rows] == [1, 2]
