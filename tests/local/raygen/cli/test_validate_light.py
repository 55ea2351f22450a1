"""Checks answer in a second: on a recipe with every op and backend, and on a student, nothing heavy
is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from raygen.ops.registry import built_in

HEAVY = (
    *("torch", "ray", "vllm", "transformers", "spacy", "tokenizers", "polars", "deltalake"),
    "jsonschema",
)
RECIPE = """
recipe: every-op
version: 1
source: {path: q.jsonl}
task: multiple_choice
engines:
  teacher: {model: org/model, backend: vllm, args: {max_model_len: 512}}
  other: {model: org/model, backend: transformers}
  server: {model: m, backend: openai, args: {base_url: "http://localhost:9/v1"}}
  scripted: {model: m, backend: fake, args: {answers: [yes]}}
graph:
  rationales: {op: sample_rationales, from: source, engine: teacher, n: 3}
  masked: {op: mask_topic_words, from: source, engine: teacher}
  filled: {op: fill_counterfactual, from: masked, engine: other}
  consistent: {op: self_consistency, from: filled, engine: server}
  flipped: {op: flip_check, from: consistent, engine: teacher}
  soft: {op: soft_labels, from: flipped, engine: teacher}
  negatives: {op: negative_view, from: [source, soft], engine: teacher}
  edited: {op: minimal_edit, from: source, engine: teacher}
  free: {op: generate, from: edited, engine: scripted, into: x, prompt: "{{ question }}"}
  judged: {op: judge, from: free, engine: teacher, show: [x], rubric: good}
  right: {op: filter, from: rationales, where: "predicted == answer"}
  likely: {op: token_probabilities, from: right, engine: teacher}
  key: {op: key_tokens, from: right, by: column, words: question}
  broken: {op: perturb_rationale, from: key, how: shuffle}
  mapped: {op: map, from: broken, set: {y: "1"}}
  each: {op: explode, from: judged, column: choices, into: one}
  joined: {op: join_views, from: [mapped, soft]}
  unique: {op: deduplicate, from: joined, on: [question]}
  read: {op: read_answer, from: free, column: x}
  checked: {op: check, from: read}
output: {from: [negatives, each, unique, likely, checked], path: out}
"""


def test_the_recipe_has_every_op() -> None:
    assert {node["op"] for node in yaml.safe_load(RECIPE)["graph"].values()} == set(built_in())


def test_validate_of_every_op_imports_nothing_heavy(tmp_path: Path) -> None:
    question = {"question": "What falls?", "choices": ["sand", "snow"], "answer": 1}
    (tmp_path / "q.jsonl").write_text(json.dumps(question) + "\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    program = (
        "import sys\n"
        "from raygen.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "validate", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"{path}: valid, 20 nodes", "[]"], done.stderr


def test_checking_engines_imports_nothing_heavy() -> None:
    code = (
        "import sys; from raygen.engines.base import EngineSpec;"
        "from raygen.engines.registry import check_engine;"
        "check_engine(EngineSpec('e', 'm', args={'max_num_seqs': 1}));"
        "check_engine(EngineSpec('e', 'm', backend='transformers'));"
        "heavy = ('vllm', 'torch', 'transformers', 'aiohttp', 'ray');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_check_of_a_good_student_imports_neither_torch_nor_ray(tmp_path: Path) -> None:
    student = tmp_path / "student.yaml"
    student.write_text("student: s\nversion: 1\nmodel: bundled:smollm2-135m-instruct\n")
    code = (
        "import sys\nfrom streamtrain.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "print([name for name in ('torch', 'ray', 'transformers') if name in sys.modules])"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "fit",
        str(student),
        "--check",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ['{"problems": []}', "[]"]
