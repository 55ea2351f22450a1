"""What kind of model a transformers engine has, told without loading or fetching it.

Imports no torch.
"""

from __future__ import annotations

from typing import Literal

from raygen.engines.base import EngineSpec
from raygen.engines.models.resolution import known_config

Kind = Literal["causal", "classifier", "seq2seq"]

_HEADS: dict[Kind, tuple[str, ...]] = {
    "causal": ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration"),
    "classifier": ("ForSequenceClassification",),
    "seq2seq": ("ForConditionalGeneration",),
}


def model_kind(spec: EngineSpec) -> Kind:
    """Return `args.kind`, else what the model's configuration says, else causal."""
    for kind in _HEADS:
        if spec.args.get("kind") == kind:
            return kind
    if any(head.endswith(_HEADS["classifier"]) for head in _architectures(spec)):
        return "classifier"
    config = known_config(spec.model, spec.revision) or {}
    return "seq2seq" if config.get("is_encoder_decoder") is True else "causal"


def kind_problem(spec: EngineSpec) -> str | None:
    """Say why the model, as far as its configuration is at hand, is not of that kind."""
    kind = model_kind(spec)
    heads = _architectures(spec)
    if not heads or any(head.endswith(_HEADS[kind]) for head in heads):
        return None
    return (
        f"{spec.model!r} is a {' and '.join(heads)}, and a {kind} engine needs one of "
        f"{', '.join(f'*{end}' for end in _HEADS[kind])}; correct the model or args.kind"
    )


def _architectures(spec: EngineSpec) -> list[str]:
    config = known_config(spec.model, spec.revision) or {}
    architectures = config.get("architectures") or []
    return [str(name) for name in architectures] if isinstance(architectures, list) else []
