"""What a layer knows: against the same model with its later layers cut off."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from streamtrain.checkpoint import Progress
from streamtrain.cli import main
from streamtrain.config import StudentConfig
from streamtrain.errors import InputError
from streamtrain.job import Job
from streamtrain.lens import Curves, common, label_curve, layer_logits, summary
from streamtrain.outcome import write_outcome
from streamtrain.student import Source, Student, load_student

CPU = torch.device("cpu")
FAMILIES = {
    "llama": ("model.layers", {"hidden_size": 32, "num_hidden_layers": 3, "intermediate_size": 64}),
    "gpt2": ("transformer.h", {"n_embd": 32, "n_layer": 3, "n_head": 2}),
    "opt": (
        "model.decoder.layers",
        {"hidden_size": 32, "num_hidden_layers": 3, "ffn_dim": 64, "word_embed_proj_dim": 32},
    ),
    "phi": ("model.layers", {"hidden_size": 32, "num_hidden_layers": 3, "intermediate_size": 64}),
}


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_a_layer_reads_as_the_model_that_ends_there(tiny_model: Path, kind: str) -> None:
    place, sizes = FAMILIES[kind]
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind, vocab_size=400, num_attention_heads=2, initializer_range=0.2, pad_token_id=2, **sizes
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    student = Student(model, AutoTokenizer.from_pretrained(tiny_model), False, CPU)
    prompt = [5, 9, 40, 7]
    found = layer_logits(student, prompt)
    layers = model.get_submodule(place)
    parent = model.get_submodule(place.rpartition(".")[0])
    assert found.shape == (3, 400)
    for depth in (3, 2, 1):
        setattr(parent, place.rpartition(".")[2], layers[:depth])
        config.num_hidden_layers = depth
        with torch.no_grad():
            expected = model(torch.tensor([prompt]), use_cache=False).logits[0, -1]
        torch.testing.assert_close(found[depth - 1], expected, rtol=1e-4, atol=1e-4)


def test_a_curve_is_the_probability_of_one_token(tiny_model: Path) -> None:
    student = load_student(Source(str(tiny_model)), None, CPU)
    logits = layer_logits(student, [5, 9, 40])
    expected = [float(row.exp()[7] / row.exp().sum()) for row in logits]
    assert label_curve(student, [5, 9, 40], 7) == pytest.approx(expected, rel=1e-4)


def test_only_what_all_answer_rightly_is_looked_at() -> None:
    one = Curves("one", {"a": (0.1, 0.7), "b": (0.2, 0.3)})
    two = Curves("two", {"b": (0.5, 0.9), "c": (0.5, 0.5)})
    assert [each.of for each in common([one, two])] == [{"b": (0.2, 0.3)}, {"b": (0.5, 0.9)}]
    with pytest.raises(InputError, match="no question is answered rightly"):
        common([one, Curves("three", {"c": (0.5, 0.5)})])


def test_a_question_that_is_never_sure_comes_last() -> None:
    curves = Curves("s", {"a": (0.7, 0.1, 0.9), "b": (0.1, 0.2, 0.61), "c": (0.6, 0.6, 0.6)})
    assert curves.first_above(0.6) == [1, 3, None]
    assert summary([curves], 0.6).rows == (("s", "3", "3", "3", "3", "never", "1"),)
    assert curves.mean() == pytest.approx([1.4 / 3, 0.3, 2.11 / 3])


def test_the_command_shows_every_layer(tiny_model: Path, tmp_path: Path) -> None:
    config = StudentConfig.model_validate(
        {"student": "tiny", "version": 1, "model": str(tiny_model), "tune": {"method": "lora"}}
    )
    out = tmp_path / "run"
    out.mkdir()
    student = load_student(Source(str(tiny_model)), config.tune, CPU)
    write_outcome(Job(config, str(tiny_model), "d", out, None), student, Progress({}), None)
    # One question for each answer: whatever the student says, it is right once.
    rows = [
        {"question": f"Which, {answer}?", "choices": ["x", "y"], "answer": answer}
        for answer in (0, 1)
    ] * 8
    held = tmp_path / "held.jsonl"
    held.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = CliRunner().invoke(main, ["lens", str(out), "--data", str(held), "--csv"])
    assert done.exit_code == 0, done.output
    head, *layers = csv.reader(done.stdout.splitlines())
    assert head == ["layer", f"tiny ({out})"]
    assert [layer[0] for layer in layers] == ["1", "2"]
