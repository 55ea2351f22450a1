"""Attention kernels: one that isn't there is refused; a flat row means what its sequences mean."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from streamtrain.data.batches import collate
from streamtrain.data.tokenization import TokenizedExample
from streamtrain.errors import InputError
from streamtrain.models.student import ModelSource, load_student
from tests.local.streamtrain.training.test_step import tiny_family

CPU = torch.device("cpu")
SEEN: list[list[int]] = []


def varlen(
    module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: Any = None, **more: Any
) -> tuple[torch.Tensor, None]:
    """What a varlen flash kernel computes, one sequence after the other, in plain torch."""
    assert mask is None
    ends = more["cu_seq_lens_q"].tolist()
    assert more["cu_seq_lens_k"].tolist() == ends
    longest = max(b - a for a, b in itertools.pairwise(ends))
    assert more["max_length_q"] == more["max_length_k"] == longest
    SEEN.append(ends)
    groups = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
    parts = []
    for start, end in itertools.pairwise(ends):
        q, k, v = (part[:, :, start:end] for part in (query, key, value))
        scores = q @ k.transpose(2, 3) * (scaling or q.shape[-1] ** -0.5)
        later = torch.ones(end - start, end - start, dtype=torch.bool).triu(1)
        parts.append(scores.masked_fill(later, float("-inf")).softmax(dim=-1) @ v)
    return torch.cat(parts, dim=2).transpose(1, 2), None


@pytest.fixture
def kernel() -> str:
    """The name under which transformers finds the plain kernel, as it finds flash attention."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import flash_attention_mask

    name = "flash_reference"
    AttentionInterface.register(name, varlen)
    AttentionMaskInterface.register(name, flash_attention_mask)
    SEEN.clear()
    return name


@pytest.mark.parametrize("kind", ["gpt2", "opt", "llama", "qwen2", "gemma", "phi"])
def test_a_flat_row_has_the_logits_of_its_sequences(
    tiny_model: Path, kernel: str, kind: str
) -> None:
    student, plain = tiny_family(tiny_model, kind, "eager"), tiny_family(tiny_model, kind, "eager")
    student.model.config._attn_implementation = kernel
    assert student.flash
    assert not plain.flash
    sequences = [
        TokenizedExample(tuple(range(3, 3 + n)), (0.0,) + (1.0,) * (n - 1)) for n in (9, 4, 13)
    ]
    batch = collate([sequences], student.pad, student.flash)
    assert batch.lengths == (9, 4, 13)
    with torch.no_grad():
        logits = student.logits(batch, torch.arange(26))[0]
        apart = [plain.model(torch.tensor([one.ids])).logits[0] for one in sequences]
    torch.testing.assert_close(logits, torch.cat(apart), rtol=1e-4, atol=1e-5)
    assert SEEN == [[0, 9, 13, 26]] * 2


def test_a_kernel_that_a_model_lacks_is_refused(tiny_model: Path) -> None:
    with pytest.raises(InputError, match=r"attention: flash_attention_2 can't be used for a llama"):
        load_student(ModelSource(str(tiny_model), attention="flash_attention_2"), None, CPU)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_model_has_the_kernel_that_was_configured(tiny_model: Path, attention: Any) -> None:
    student = load_student(ModelSource(str(tiny_model), attention=attention), None, CPU)
    assert student.model.config._attn_implementation == attention


def test_a_kernel_that_forgets_local_windows_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    student = tiny_family(tiny_model, "gpt_neo", "eager")
    student.model.save_pretrained(tmp_path)
    student.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="ignores the local windows"):
        load_student(ModelSource(str(tmp_path), attention="flash_attention_2"), None, CPU)
