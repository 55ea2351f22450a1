"""What a model's files say of it before it is loaded: its kind, and how a student was trained.

Reads `config.json`, and `student.json`, which streamtrain writes next to the weights. Imports no
torch.
"""

from __future__ import annotations

import json
from pathlib import Path
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


STUDENT = "student.json"
_DEFAULT = "after"
"""streamtrain's own, where the settings say nothing."""


def attribution_problem(spec: EngineSpec) -> str | None:
    """Say why gradients of this model toward a label say nothing of a rationale's tokens, or None.

    Only in a student trained with the rationale before the label does anything flow from the label
    back to the rationale. A fake can be asked for anything.
    """
    if spec.backend == "fake":
        return None
    file = Path(spec.model).expanduser() / STUDENT
    expected = (
        "expected the folder of a student that streamtrain trained with data.rationale: before"
    )
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        placement = settings.get("data", {}).get("rationale", _DEFAULT)
    except OSError:
        return f"{spec.model!r} has no {STUDENT}; {expected}"
    except (ValueError, AttributeError):
        return f"{file} can't be read as a student's settings; {expected}"
    if placement != "before":
        return (
            f"{spec.model!r} was trained with data.rationale: {placement}, so that nothing flows "
            f"from its label back to the rationale; {expected}"
        )
    return None
