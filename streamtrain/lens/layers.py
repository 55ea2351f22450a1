"""Readout of a student's layers: hidden states, decoded by the model's own final norm and head as
if the later layers weren't there.

An encoder-decoder has its decoder's layers read. Knows nothing of questions or labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from streamtrain.errors import InputError
from streamtrain.models import Student

_LAST_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "layer_norm")
"""Names of the norm before the head; a model that has none ends with a layer."""

_CLOSE = {"rtol": 1e-3, "atol": 1e-3}


@dataclass(frozen=True, slots=True)
class LensInput:
    """Token ids that a student continues: `ids` of a text, or those of the decoder (without its
    start token) after `encoder_ids`."""

    ids: tuple[int, ...]
    encoder_ids: tuple[int, ...] = ()


class LayerReader:
    """Reads the layers of one student, which is put into eval mode and frozen."""

    def __init__(self, student: Student) -> None:
        student.model.eval().requires_grad_(False)
        self.student = student
        self._base = student.model.get_base_model() if student.adapter else student.model
        inner = self._base.base_model
        inner = getattr(inner, "decoder", inner)
        named = (*_LAST_NORMS, "project_out")
        parts = (getattr(inner, name, None) for name in named)
        self._tail: list[Any] = [part for part in parts if part is not None]
        self._checked = False

    def tokens(self, passage: LensInput) -> list[int]:
        """Return the token at each position of a passage."""
        return [*self._start(), *passage.ids]

    def states(self, passage: LensInput) -> torch.Tensor:
        """Compute the states (layers, positions, width) after each layer; each predicts the next
        position's token.

        Raises InputError if the model ends in a way that is not supported.
        """
        last: list[torch.Tensor] = []
        # What a model calls its last hidden state has been through the norm already.
        hook = (
            self._tail[0].register_forward_pre_hook(lambda _, args: last.append(args[0]))
            if self._tail
            else None
        )
        try:
            with torch.no_grad():
                output = self.student.model(
                    **self._inputs(passage),
                    **self._head(),
                    output_hidden_states=True,
                    use_cache=False,
                )
        finally:
            if hook is not None:
                hook.remove()
        of_decoder = self.student.kind == "seq2seq"
        hidden = output.decoder_hidden_states if of_decoder else output.hidden_states
        # The first is the embedding.
        end = last[-1] if last else hidden[-1]
        states = torch.stack([state[0] for state in (*hidden[1:-1], end)])
        if not self._checked:
            self._check(states[-1], output.logits[0])
            self._checked = True
        return states

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Decode states (..., width) of any layer to logits (..., vocabulary)."""
        for part in self._tail:
            states = part(states)
        config = self._base.config
        if getattr(config, "scale_decoder_outputs", False):
            states = states * config.d_model**-0.5
        logits: torch.Tensor = self._base.get_output_embeddings()(states)
        bias = getattr(self._base, "final_logits_bias", None)
        if bias is not None:
            logits = logits + bias[0]
        logits = logits * (getattr(config, "logit_scale", None) or 1.0)
        logits = logits / (getattr(config, "logits_scaling", None) or 1.0)
        cap = getattr(config, "final_logit_softcapping", None)
        return (logits if cap is None else torch.tanh(logits / cap) * cap).float()

    def _start(self) -> Sequence[int]:
        if self.student.kind != "seq2seq":
            return ()
        return (self._base.config.decoder_start_token_id,)

    def _inputs(self, passage: LensInput) -> dict[str, torch.Tensor]:
        ids = torch.tensor([self.tokens(passage)], device=self.student.device)
        if self.student.kind != "seq2seq":
            return {"input_ids": ids}
        encoder_ids = torch.tensor([list(passage.encoder_ids)], device=self.student.device)
        return {"input_ids": encoder_ids, "decoder_input_ids": ids}

    def _head(self) -> dict[str, int]:
        """Let the model's own head run over every position once, for `_check`, and not again."""
        return {"logits_to_keep": 1} if self._checked and self.student.kind == "causal" else {}

    def _check(self, last: torch.Tensor, model_logits: torch.Tensor) -> None:
        """Check that the last layer, read like the others, gives the model's own logits."""
        with torch.no_grad():
            read = self.logits(last)
        if not torch.allclose(read, model_logits.float(), **_CLOSE):
            raise InputError(
                f"the lens is not available yet for {self._base.config.model_type} models: what "
                "follows their last layer isn't a norm, a head and a known scale"
            )
