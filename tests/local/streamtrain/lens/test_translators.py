"""A tuned lens says what its student says, sooner than the logit lens does."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from streamtrain.lens.layers import LayerReader, LensInput
from streamtrain.lens.translators import (
    LayerTranslators,
    layer_divergences,
    spread_positions,
    tune_translators,
)
from streamtrain.models.student import Student

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def reader(tiny_model: Path) -> LayerReader:
    """The tiny model, larger in its weights, so that its layers differ."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() == 2:
                weights.mul_(4)
    return LayerReader(Student(model, AutoTokenizer.from_pretrained(tiny_model), False, CPU))


def passages(count: int, seed: int, length: int = 12) -> list[LensInput]:
    draw = torch.Generator().manual_seed(seed)
    return [
        LensInput(tuple(torch.randint(3, 400, (length,), generator=draw).tolist()))
        for _ in range(count)
    ]


@pytest.mark.parametrize("length", [12, 100])
def test_divergences_are_those_of_the_definition(reader: LayerReader, length: int) -> None:
    """A long passage is read at some of its places."""
    some = passages(3, seed=1, length=length)
    total, positions = [0.0, 0.0], 0
    for passage in some:
        chosen = list(range(12)) if length == 12 else [*range(0, 100, 7), 99]
        logits = reader.logits(reader.states(passage))[:, chosen]
        for layer in range(2):
            for read, output in zip(logits[layer], logits[-1], strict=True):
                p, q = output.softmax(0).double(), read.softmax(0).double()
                total[layer] += float((p * (p / q).log()).sum())
        positions += len(chosen)
    assert layer_divergences(reader, some, None) == pytest.approx(
        [t / positions for t in total], abs=1e-4
    )


@given(st.integers(1, 2000))
def test_places_are_few_evenly_spread_and_have_the_last(count: int) -> None:
    positions = spread_positions(count)
    assert positions[0] == 0
    assert positions[-1] == count - 1
    assert len(positions) <= 17
    steps = [b - a for a, b in itertools.pairwise(positions)]
    assert len({*steps[:-1]}) <= 1
    assert steps[-1:] <= steps[:1]
    assert count > 16 or positions == list(range(count))


def test_an_untrained_lens_is_the_logit_lens(reader: LayerReader) -> None:
    states = reader.states(passages(1, seed=1)[0])
    width = states.shape[-1]
    assert torch.equal(
        LayerTranslators(torch.zeros(1, width, width), torch.zeros(1, width))(states), states
    )


def test_a_lens_is_an_affine_map_of_every_layer_but_the_last(reader: LayerReader) -> None:
    states = reader.states(passages(1, seed=1)[0])
    width = states.shape[-1]
    matrix, bias = torch.randn(1, width, width), torch.randn(1, width)
    found = LayerTranslators(matrix, bias)(states)
    torch.testing.assert_close(found[0], states[0] + states[0] @ matrix[0] + bias[0])
    assert torch.equal(found[-1], states[-1])


def test_tuning_comes_closer_on_texts_that_it_never_saw(reader: LayerReader) -> None:
    translators = tune_translators(reader, passages(40, seed=2), 60)
    held = passages(10, seed=3)
    (logit, last), (tuned, tuned_last) = (
        layer_divergences(reader, held, t) for t in (None, translators)
    )
    assert tuned < 0.8 * logit
    assert last == pytest.approx(0, abs=1e-5)
    assert tuned_last == pytest.approx(0, abs=1e-5)


def test_tuning_leaves_the_student_as_it_is_and_repeats(reader: LayerReader) -> None:
    before = [weights.clone() for weights in reader.student.model.parameters()]
    first, second = (tune_translators(reader, passages(5, seed=2), 3) for _ in range(2))
    after = list(reader.student.model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(first.matrix, second.matrix)
