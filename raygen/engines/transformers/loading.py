"""Load a model and its tokenizer onto a device of this process.

Knows nothing of what the model is used for. Runs no code of the model's repository.
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
from raygen.engines.models.adapter import check_patterns
from raygen.engines.models.resolution import (
    check_inner_adapter,
    describe_load_failure,
    resolve_model,
)

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
        """The device of its inputs."""
        device: torch.device = self.model.device
        return device

    def position_limit(self) -> int | None:
        """Return how many tokens the model has positions for; None if it doesn't say."""
        known = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return known if isinstance(known, int) and known > 0 else None


def load_model(
    spec: EngineSpec, args: TransformersArgs, devices: Sequence[str], head: str
) -> LoadedModel:
    """Load an engine's model, and its adapter if it is one, ready for inference.

    `args` are the engine's parsed arguments, `devices` its CUDA devices, of which the first is
    used, and `head` is the name of one of transformers' Auto classes. Raises EngineSetupError for a
    model that can't be had, can't be loaded, or lacks the head.
    """
    try:
        source = resolve_model(spec.model, spec.revision)
        device = _device(args, spec.gpus, devices)
        model, missing = read_model(
            head,
            source.model,
            source.revision,
            dtype=_dtype(args, device),
            attn_implementation=args.attention,
        )
        if missing:
            raise EngineSetupError(
                f"its files have no weights for {', '.join(missing[:3])}, so "
                f"as {head.removeprefix('AutoModelFor')} it would answer at random; set args.kind, "
                "or use a model that was trained for this"
            )
        tokenizer = read_tokenizer(source.model, source.revision)
        if source.adapter is not None:
            adapted, tokenizer = attach_adapter(model, tokenizer, source.adapter)
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
    """Load the safetensors weights of a model.

    `head` is the name of one of transformers' Auto classes, `model` a folder or a hub id,
    `revision` a branch, tag or commit of the hub, and `settings` are from_pretrained's. Other
    formats and the repository's own code would run whatever their author wrote, and are refused.
    Returns the model, and the names of weights that its files lack and that are therefore random.
    Raises LOAD_ERRORS, and EngineSetupError for an adapter among its files that isn't safe.
    """
    import transformers
    from transformers.utils import logging

    check_inner_adapter(model, revision)
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
    """Load the tokenizer of a folder or a hub id without running its code. Raises LOAD_ERRORS."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model, revision=revision, trust_remote_code=False)


def attach_adapter(model: Any, tokenizer: Any, adapter: Path) -> tuple[Any, Any]:
    """Put an adapter on its base model; returns the adapted model and the adapter's tokenizer.

    Tokens that the adapter's tokenizer adds get rows in the model's embeddings. `adapter` is a
    folder that `check_adapter` has passed. Raises LOAD_ERRORS, and EngineSetupError for patterns of
    modules that take too long.
    """
    from peft import PeftModel

    if (adapter / "tokenizer_config.json").is_file():
        known = tokenizer.get_vocab()
        tokenizer = read_tokenizer(str(adapter))
        new = [at for token, at in tokenizer.get_vocab().items() if token not in known]
        if new:
            add_embedding_rows(model, new)
    check_patterns(adapter, [name for name, _ in model.named_modules()])
    return PeftModel.from_pretrained(model, str(adapter)), tokenizer


def _device(args: TransformersArgs, gpus: int, devices: Sequence[str]) -> torch.device:
    """Return the device that `args` name, else the engine's GPU, else the CPU."""
    if args.device is None and gpus == 0:
        return torch.device("cpu")
    name = args.device or f"cuda:{_index(devices[0]) if devices else 0}"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise EngineSetupError(
            f"it asks for a GPU ({name}), and torch sees none here; set gpus: 0, or install a "
            "torch with CUDA on a machine that has one"
        )
    if name == "mps" and not torch.backends.mps.is_available():
        raise EngineSetupError("args.device is mps, and torch sees no Apple GPU here; use cpu")
    return torch.device(name)


def _index(device: str) -> int:
    """Return the number by which this process knows a CUDA device."""
    names = visible_gpus() or ()
    return names.index(device) if device in names else int(device)


def _dtype(args: TransformersArgs, device: torch.device) -> Any:
    """Choose float32 on a CPU, where few models run in less; elsewhere the dtype of the weights."""
    named = args.dtype or ("float32" if device.type == "cpu" else "auto")
    return named if named == "auto" else getattr(torch, named)


def add_embedding_rows(model: Any, tokens: Sequence[int]) -> None:
    """Give new tokens rows in both embeddings, each the mean of the rows of known tokens.

    `tokens` are their ids. Some models have spare rows; none is ever removed.
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
