"""What a model's files say of it before it is loaded: its kind, and how a student was trained.

Reads `config.json`, and `student.json`, which streamtrain writes next to the weights. Imports no
torch.
"""

from __future__ import annotations

from typing import Literal

from raygen.core import DamagedFileError, expand_home, read_json_object
from raygen.engines.base import EngineSpec
from raygen.engines.models.resolution import known_config

Kind = Literal["causal", "classifier", "seq2seq"]

_HEADS: dict[Kind, tuple[str, ...]] = {
    "causal": ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration"),
    "classifier": ("ForSequenceClassification",),
    "seq2seq": ("ForConditionalGeneration",),
}


def model_kind(spec: EngineSpec) -> Kind:
    """Return the kind that `args.kind` or the model's configuration names, by default causal."""
    for kind in _HEADS:
        if spec.args.get("kind") == kind:
            return kind
    if any(head.endswith(_HEADS["classifier"]) for head in _architectures(spec)):
        return "classifier"
    config = known_config(spec.model, spec.revision) or {}
    return "seq2seq" if config.get("is_encoder_decoder") is True else "causal"


def kind_problem(spec: EngineSpec) -> str | None:
    """Say why the model isn't of its engine's kind; None if it is, or if nothing is known of it."""
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
    """Say why this model's gradients toward a label say nothing of a rationale; None if they do.

    Only in a student trained with the rationale before the label does anything flow from the label
    back to the rationale. A fake engine passes.
    """
    if spec.backend == "fake":
        return None
    file = expand_home(spec.model) / STUDENT
    expected = (
        "expected the folder of a student that streamtrain trained with data.rationale: before"
    )
    try:
        settings = read_json_object(file, "a student's settings")
        placement = settings.get("data", {}).get("rationale", _DEFAULT)
    except OSError:
        return f"{spec.model!r} has no {STUDENT}; {expected}"
    except (DamagedFileError, AttributeError):
        return f"{file} can't be read as a student's settings; {expected}"
    if placement != "before":
        return (
            f"{spec.model!r} was trained with data.rationale: {placement}, so that nothing flows "
            f"from its label back to the rationale; {expected}"
        )
    return None
