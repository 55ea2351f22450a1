"""A model in this process's memory: loaded with its tokenizer, onto its device.

Knows nothing of what is asked of it. Runs no code of the model's repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from raygen.engines.args import TransformersArgs
from raygen.engines.base import EngineSetupError, EngineSpec
from raygen.engines.devices import visible_gpus
from raygen.engines.models.resolution import describe_load_failure, resolve_model

LOAD_ERRORS = (
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What transformers, peft and torch raise for a model that they can't take."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model for inference, and its tokenizer."""

    model: Any
    tokenizer: Any

    @property
    def device(self) -> torch.device:
        """Where its inputs must lie."""
        device: torch.device = self.model.device
        return device

    def position_limit(self) -> int | None:
        """How many tokens the model has positions for; None where it doesn't say."""
        known = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return known if isinstance(known, int) and known > 0 else None


def load_model(
    spec: EngineSpec, args: TransformersArgs, devices: Sequence[str], head: str
) -> LoadedModel:
    """The model with its `head`, the name of one of transformers' Auto classes.

    Raises EngineSetupError for a model that can't be had, can't be loaded, or lacks the head.
    """
    try:
        found = resolve_model(spec.model, spec.revision)
        device = _device(args, spec.gpus, devices)
        model, missing = read_model(
            head,
            found.model,
            found.revision,
            dtype=_dtype(args, device),
            attn_implementation=args.attention,
        )
        if missing:
            raise EngineSetupError(
                f"its files have no weights for {', '.join(missing[:3])}, so "
                f"as {head.removeprefix('AutoModelFor')} it would answer at random; set args.kind, "
                "or use a model that was trained for this"
            )
        tokenizer = read_tokenizer(found.model, found.revision)
        if found.adapter is not None:
            adapted, tokenizer = attach_adapter(model, tokenizer, found.adapter)
            model = adapted.merge_and_unload()
        return LoadedModel(model.to(device).eval().requires_grad_(requires_grad=False), tokenizer)
    except EngineSetupError as error:
        raise EngineSetupError(f"engine {spec.name!r}: {spec.model}: {error}") from error
    except LOAD_ERRORS as error:
        raise EngineSetupError(
            f"engine {spec.name!r}: transformers can't load the model {spec.model}: "
            f"{type(error).__name__}: {describe_load_failure(error)[:400]}; check the model and "
            "the engine's args"
        ) from error


def read_model(
    head: str, model: str, revision: str | None, **settings: Any
) -> tuple[Any, list[str]]:
    """Load a model with its `head`, the name of one of transformers' Auto classes.

    `model` is a folder or a hub id, and `settings` are from_pretrained's. Returns the names of the
    weights that its files lack too, which are random then. Only weights as safetensors are read,
    and no code of the model's repository: both would run whatever their author wrote.
    Raises LOAD_ERRORS.
    """
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    loaded, info = getattr(transformers, head).from_pretrained(
        model,
        revision=revision,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
        **settings,
    )
    return loaded, sorted(info["missing_keys"])


def read_tokenizer(model: str, revision: str | None = None) -> Any:
    """Load the tokenizer of a folder or a hub id, as safely. Raises LOAD_ERRORS."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)


def attach_adapter(model: Any, tokenizer: Any, adapter: Path) -> tuple[Any, Any]:
    """Put an adapter on the model that it was made for; the tokenizer is the adapter's own.

    Tokens that this one has beside the model's get rows in its embeddings. The folder is one that
    `check_adapter` has passed. Raises LOAD_ERRORS.
    """
    from peft import PeftModel

    if (adapter / "tokenizer_config.json").is_file():
        known = tokenizer.get_vocab()
        tokenizer = read_tokenizer(str(adapter))
        new = [at for token, at in tokenizer.get_vocab().items() if token not in known]
        if new:
            add_embedding_rows(model, new)
    return PeftModel.from_pretrained(model, str(adapter)), tokenizer


def _device(args: TransformersArgs, gpus: int, devices: Sequence[str]) -> torch.device:
    """The device that is asked for, else the engine's GPU, else the CPU."""
    if args.device is None and gpus == 0:
        return torch.device("cpu")
    wanted = args.device or f"cuda:{_index(devices[0]) if devices else 0}"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise EngineSetupError(
            f"it asks for a GPU ({wanted}), and torch sees none here; set gpus: 0, or install a "
            "torch with CUDA on a machine that has one"
        )
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise EngineSetupError("args.device is mps, and torch sees no Apple GPU here; use cpu")
    return torch.device(wanted)


def _index(device: str) -> int:
    """The number by which this process knows a CUDA device."""
    names = visible_gpus() or ()
    return names.index(device) if device in names else int(device)


def _dtype(args: TransformersArgs, device: torch.device) -> Any:
    """float32 on a CPU, where few can do with less; elsewhere what the model was saved in."""
    named = args.dtype or ("float32" if device.type == "cpu" else "auto")
    return named if named == "auto" else getattr(torch, named)


def add_embedding_rows(model: Any, tokens: Sequence[int]) -> None:
    """Give the tokens rows in both embeddings, each the mean of the rows that were there before.

    Some models have spare rows; none is ever taken away.
    """
    old = model.get_input_embeddings().weight.shape[0]
    if max(tokens) >= old:
        model.resize_token_embeddings(max(tokens) + 1, mean_resizing=False)
    new = set(tokens)
    known = [row for row in range(old) if row not in new]
    with torch.no_grad():
        for embedding in (model.get_input_embeddings(), model.get_output_embeddings()):
            if embedding is not None:
                embedding.weight[list(tokens)] = embedding.weight[known].mean(dim=0)
