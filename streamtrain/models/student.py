"""The student: a model of one kind with its tokenizer, trained in full or by a LoRA.

Knows nothing of data, losses or schedules. `all-linear` adapts every linear layer but the head; a
classifier's head, and whatever else its base model lacks, is trained and saved in full.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from raygen.engines import EngineSetupError
from raygen.engines.models import check_adapter, describe_load_failure, model_path
from raygen.engines.transformers import LOAD_ERRORS, attach_adapter, read_model, read_tokenizer
from streamtrain.config import Attention, Kind, StudentConfig, TuneConfig
from streamtrain.data import Batch
from streamtrain.errors import InputError
from streamtrain.models.attention import (
    additive_mask,
    check_attention,
    flash_varlen_arguments,
    is_flash,
)
from streamtrain.models.new_tokens import add_tokens, trained_rows

PACKABLE = ("gemma", "gpt2", "gpt_neo", "llama", "opt", "phi", "qwen2")
"""Types of causal models whose gradients were found equal packed and unpacked."""

_AUTO: dict[Kind, str] = {
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "classifier": "AutoModelForSequenceClassification",
}
_TASKS: dict[Kind, str] = {
    "causal": "CAUSAL_LM",
    "seq2seq": "SEQ_2_SEQ_LM",
    "classifier": "SEQ_CLS",
}
HEADS = ("classifier", "score")
"""Names of a classifier's head in the models of transformers."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Which model to load: a hub id, a folder or `bundled:NAME`.

    `labels` are a classifier's classes; empty: those that it has. `attention` is the kernel; None:
    the default of transformers.
    """

    model: str
    revision: str | None = None
    kind: Kind = "causal"
    labels: tuple[str, ...] = ()
    attention: Attention | None = None


@dataclass(frozen=True, slots=True)
class Student:
    """A loaded model; with `adapter` only a LoRA on it is trained and saved.

    `projections` map its hidden states to a teacher's width; they are trained with it and never
    saved as part of it. A `sharded` student is spread over the ranks: every rank takes part in each
    forward pass, and none holds all of it.
    """

    model: Any
    tokenizer: Any
    adapter: bool
    device: torch.device
    kind: Kind = "causal"
    projections: torch.nn.ModuleList | None = None
    sharded: bool = False

    @property
    def plain_model(self) -> Any:
        """The model without peft's wrapper; an adapter stays in its layers."""
        return self.model.get_base_model() if self.adapter else self.model

    @property
    def pad(self) -> int:
        """The id that pads short rows; masked everywhere, so any will do."""
        return int(self.tokenizer.pad_token_id)

    @property
    def bfloat16(self) -> bool:
        """Whether matrices are multiplied in bfloat16, that is, whether the device supports it."""
        return self.device.type == "cuda" and bool(torch.cuda.is_bf16_supported())

    @property
    def flash(self) -> bool:
        """Whether it uses flash attention, which takes lengths instead of a mask."""
        return is_flash(self.model.config)

    def trainable(self) -> list[tuple[str, torch.nn.Parameter]]:
        """List the trained parameters by name, in a stable order."""
        parameters = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        if self.projections is None:
            return parameters
        return parameters + [
            (f"projections.{n}", p) for n, p in self.projections.named_parameters()
        ]

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """Autocast to bfloat16 on devices that support it.

        A context manager. A sharded student gathers its weights in bfloat16, so nothing is left to
        cast.
        """
        cast: contextlib.AbstractContextManager[Any] = torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.bfloat16 and not self.sharded
        )
        return cast

    def logits(self, batch: Batch, positions: torch.Tensor) -> torch.Tensor:
        """Compute the logits (R, P, vocabulary) at the P `positions` of every row alone, since the
        head is expensive."""
        mask = additive_mask(batch.mask, self.model.dtype) if batch.mask.dim() == 4 else batch.mask
        borders = flash_varlen_arguments(batch.lengths, self.device) if batch.lengths else {}
        with self.precision():
            output = self.model(
                input_ids=batch.ids,
                attention_mask=None if borders else mask,
                position_ids=batch.positions,
                logits_to_keep=positions,
                use_cache=False,
                **borders,
            )
        logits: torch.Tensor = output.logits
        return logits


def default_device() -> torch.device:
    """Choose the device outside of training: the first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def model_source(config: StudentConfig) -> ModelSource:
    """Name the model that a student starts from."""
    return ModelSource(config.model, config.revision, config.kind, config.data.labels or ())


def load_student(
    source: ModelSource,
    tune: TuneConfig | None,
    device: torch.device,
    tokens: Sequence[str] = (),
) -> Student:
    """Load the model of `source` with its tokenizer onto `device`.

    `tune` None loads it as it is, for evaluation. Each of `tokens` becomes a single token if it
    isn't one yet. Raises InputError if the model can't be loaded or can't be a student.
    """
    model, tokenizer, fresh = _load(source)
    _check(model, tokenizer, source)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if model.config.pad_token_id is None and source.kind == "classifier":
        model.config.pad_token_id = tokenizer.pad_token_id
    added = add_tokens(model, tokenizer, tokens)
    adapter = tune is not None and tune.method == "lora"
    if tune is not None and adapter:
        model = _with_lora(model, tune, source.kind, added, _fully_trained(model, fresh))
    return Student(model.to(device), tokenizer, adapter, device, source.kind)


def load_adapter(source: ModelSource, folder: Path, device: torch.device) -> Student:
    """Load a model with the adapter and tokenizer that `save_final` wrote to `folder`.

    Raises InputError if they can't be loaded, or carry code.
    """
    try:
        check_adapter(folder)
        base = load_student(source, None, device)
        model, tokenizer = attach_adapter(base.model, base.tokenizer, folder)
    except EngineSetupError as error:
        raise InputError(str(error)) from error
    except LOAD_ERRORS as error:
        raise InputError(
            f"can't load the adapter {folder}: {describe_load_failure(error)}; expected what "
            "streamtrain or peft's save_pretrained wrote"
        ) from error
    return replace(base, model=model.to(device), tokenizer=tokenizer, adapter=True)


def check_packable(student: Student) -> None:
    """Raise InputError if packing is not known to be correct for the student's architecture.

    An encoder-decoder is batched by length whatever `pack` says.
    """
    family = student.model.config.model_type
    if student.kind == "causal" and family not in PACKABLE:
        raise InputError(
            f"data.pack: packing is not available yet for {family} models "
            f"(known: {', '.join(PACKABLE)}); set pack: false"
        )


def repeated_blocks(model: torch.nn.Module) -> list[Any]:
    """List a model's transformer blocks, which are compiled and sharded one by one: the elements of
    its outermost module lists, encoder and decoder both."""
    if isinstance(model, torch.nn.ModuleList):
        return list(model)
    return [block for child in model.children() for block in repeated_blocks(child)]


def save_final(student: Student, folder: Path) -> None:
    """Write a folder for `from_pretrained`; an adapter refers to its base model."""
    # New tokens are in the adapter; asking for the whole embedding too would ask the hub.
    more = {"save_embedding_layers": False} if student.adapter else {}
    student.model.save_pretrained(folder, **more)
    student.tokenizer.save_pretrained(folder)


def _fully_trained(model: Any, fresh: Iterable[str]) -> list[str]:
    """Name the modules whose weights the base model lacks; the head counts as one module."""
    owners = {name.rpartition(".")[0] for name in fresh}
    heads = {name for name, _ in model.named_children() if name in HEADS}
    return sorted(heads | {name for name in owners if name.split(".")[0] not in heads})


def _with_lora(
    model: Any, tune: TuneConfig, kind: Kind, added: Sequence[int], modules_to_save: Sequence[str]
) -> Any:
    from peft import LoraConfig, get_peft_model

    targets = tune.targets if isinstance(tune.targets, str) else list(tune.targets)
    config = LoraConfig(
        r=tune.r,
        lora_alpha=tune.alpha,
        lora_dropout=tune.dropout,
        target_modules=targets,
        use_dora=tune.dora,
        use_rslora=tune.rslora,
        trainable_token_indices=trained_rows(model, added) if added else None,
        modules_to_save=list(modules_to_save) or None,
        exclude_modules=_exclusion(modules_to_save),
        task_type=_TASKS[kind],
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise InputError(f"tune.targets: {error}") from error


def _exclusion(modules: Sequence[str]) -> str | None:
    """Build the pattern of modules that no adapter is put on; None where there are none."""
    return rf"({'|'.join(map(re.escape, modules))})(\..*)?" if modules else None


def _load(source: ModelSource) -> tuple[Any, Any, Iterable[str]]:
    """Load model and tokenizer; also returns the names of weights that the source lacks."""
    import transformers

    settings: dict[str, Any] = {"dtype": torch.float32}
    if source.labels:
        settings["id2label"] = dict(enumerate(source.labels))
        settings["label2id"] = {label: n for n, label in enumerate(source.labels)}
    try:
        folder = model_path(source.model)
        tokenizer = read_tokenizer(folder, source.revision)
        head = _AUTO[source.kind]
        if source.attention is not None:
            settings["attn_implementation"] = source.attention
            model_config = transformers.AutoConfig.from_pretrained(
                folder, revision=source.revision, trust_remote_code=False
            )
            check_attention(getattr(transformers, head), model_config, source.attention)
        model, missing = read_model(head, folder, source.revision, **settings)
    except EngineSetupError as error:
        raise InputError(str(error)) from error
    except LOAD_ERRORS as error:
        raise InputError(
            f"can't load the {source.kind} model {source.model!r}: {describe_load_failure(error)}; "
            "expected a folder, a hub id that can be reached (gated ones with your token), or "
            "bundled:NAME"
        ) from error
    return model, tokenizer, missing if source.kind == "classifier" else ()


def _check(model: Any, tokenizer: Any, source: ModelSource) -> None:
    if source.kind == "classifier":
        return
    if tokenizer.eos_token_id is None:
        raise InputError(f"the tokenizer of {source.model!r} has no end-of-sequence token")
    _write_greedily(model, tokenizer)
    if (
        source.kind == "causal"
        and "logits_to_keep" not in inspect.signature(model.forward).parameters
    ):
        raise InputError(
            f"{source.model!r} is a {model.config.model_type} model, which is not available yet; "
            f"known: {', '.join(PACKABLE)}"
        )


def _write_greedily(model: Any, tokenizer: Any) -> None:
    """Reset the generation config of a published model: beams, penalties for repeating the
    question's own words, forced tokens, lengths."""
    from transformers import GenerationConfig

    named = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])} - {None}
    model.generation_config = GenerationConfig(
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
        eos_token_id=sorted(ends),
        pad_token_id=tokenizer.pad_token_id,
    )
