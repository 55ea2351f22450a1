"""student.yaml, version 1: what to train, on which data, how, and how to evaluate it.

Knows nothing of torch, Ray or files other than the document it is read from. A value that belongs
to the format but that this version can't run is refused here, never ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from raygen.config import Document, load_document, override_name, parse_model, parse_text
from raygen.core import Problem, ProblemsError
from streamtrain.config.base import Address, ConfigSection, Positive, Rate, Weight, refuse_keys
from streamtrain.config.data import DataConfig, check_input
from streamtrain.config.objective import ObjectiveConfig

Kind = Literal["causal", "seq2seq", "classifier"]
LogName = Literal["tensorboard", "wandb", "mlflow"]
Attention = Literal["sdpa", "eager", "flash_attention_2"]


class TuneConfig(ConfigSection):
    """Which parameters are trained: a low-rank adapter (peft) or all of them."""

    method: Literal["lora", "full"] = "lora"
    r: Positive = 16
    alpha: Positive = 32
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    dora: bool = False
    """Learn the weights' magnitudes beside their directions (peft's `use_dora`)."""
    rslora: bool = False
    """Scale by alpha / sqrt(r) instead of alpha / r (peft's `use_rslora`)."""

    @model_validator(mode="after")
    def _adapter_keys_need_an_adapter(self) -> TuneConfig:
        extra = sorted(self.model_fields_set - {"method"})
        if self.method == "full" and extra:
            raise ValueError(f"method: full trains every parameter; remove {', '.join(extra)}")
        return self


class OptimConfig(ConfigSection):
    """AdamW, and the length of the run: `epochs` or `max_steps`."""

    lr: Rate = 3e-5
    batch: Positive = 8
    """Examples in a global batch, over all workers."""
    epochs: Positive | None = None
    max_steps: Positive | None = None
    schedule: Literal["wsd", "linear", "cosine"] = "wsd"
    warmup: Annotated[float, Field(ge=0.0)] = 0.03
    """Below 1 a share of the run, from 1 on a number of steps."""
    clip: Rate | None = 1.0
    weight_decay: Weight = 0.0
    eps: Rate = 1e-8
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass instead of keeping them: slower, less memory."""
    compile: bool = False
    """Compile the model's layers with torch.compile: slow first steps, faster ones after that."""

    @field_validator("warmup")
    @classmethod
    def _share_or_whole_steps(cls, value: float) -> float:
        if value >= 1 and value != int(value):
            raise ValueError(f"found {value}, expected a share below 1 or a whole number of steps")
        return value

    @model_validator(mode="after")
    def _one_length(self) -> OptimConfig:
        if self.epochs is not None and self.max_steps is not None:
            raise ValueError("epochs and max_steps both set the length of the run; give one")
        return self


class StreamConfig(ConfigSection):
    """How the growing dataset is read; `starved` says what to do when no new rows are there yet."""

    starved: Literal["wait", "replay"] = "wait"
    reuse: Positive | None = None
    """With starved: replay, how often a row is used at most before the dataset has ended. Absent:
    the number of epochs, or 4 if that isn't set."""
    shuffle: Positive = 4096
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="after")
    def _reuse_is_replay(self) -> StreamConfig:
        if self.reuse is not None and self.starved != "replay":
            raise ValueError("reuse caps what starved: replay does; found starved: wait")
        return self


class EvaluateConfig(ConfigSection):
    """Held-out questions. Paths are relative to the folder of the student's file."""

    report: Address | None = None
    select: Address | None = None
    """Questions that choose the step whose weights are kept, by accuracy; none of them is in
    `report`."""
    every: Positive | None = None
    """Steps between two evaluations on `select`."""
    patience: Positive | None = None
    """Consecutive evaluations without a gain above `threshold` after which the run ends."""
    threshold: Annotated[float, Field(ge=0.0)] | None = None
    samples: Positive = 1
    """Above 1, the finished student answers `report` a second time by majority vote over so many
    samples at temperature 0.7 (self-consistency)."""

    @model_validator(mode="after")
    def _selection_is_whole(self) -> EvaluateConfig:
        if self.select is None:
            extra = sorted({"every", "patience", "threshold"} & self.model_fields_set)
            if extra:
                raise ValueError(f"{', '.join(extra)} need select, a file of held-out questions")
        elif self.every is None:
            raise ValueError("select needs every: the steps from one look at it to the next")
        if self.threshold is not None and self.patience is None:
            raise ValueError("threshold needs patience")
        if self.samples > 1 and self.report is None:
            raise ValueError("samples needs report, the questions to vote on")
        return self


class StudentConfig(ConfigSection):
    """A whole student.yaml, or the `train` section of a recipe."""

    student: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Literal[1]
    model: Annotated[Address, Field(min_length=1)]
    revision: str | None = None
    kind: Kind = "causal"
    tune: TuneConfig = TuneConfig()
    data: DataConfig = DataConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optim: OptimConfig = OptimConfig()
    stream: StreamConfig = StreamConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    workers: Positive = 1
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """How workers hold the model: each a full replica (DDP), or each a shard of every tensor
    (FSDP2)."""
    attention: Attention | None = None
    """The attention kernel; absent: the model's default in transformers, mostly sdpa."""
    checkpoint_s: Annotated[float, Field(ge=0.0)] = 60.0
    """Seconds between two checkpoints; 0 saves after every step."""
    log: tuple[LogName, ...] = ("tensorboard",)
    """Loggers that draw the numbers of `metrics.jsonl`."""
    output: Address | None = None

    @model_validator(mode="after")
    def _targets_carry_loss(self) -> StudentConfig:
        if self.data.form.placement == "none" and self.objective.weights.label == 0:
            raise ValueError(
                "data.rationale is none and objective.weights.label is 0, so nothing is learned"
            )
        return self

    @model_validator(mode="after")
    def _objective_fits_the_kind(self) -> StudentConfig:
        objective, data = self.objective, self.data
        if self.kind == "classifier":
            if objective.loss == "lm":
                raise ValueError("objective.loss: lm is no loss of a classifier; use ce or kd")
            if data.labels is None or len(set(data.labels)) != len(data.labels):
                raise ValueError("a classifier needs data.labels: its classes, each once")
            refuse_keys(data, _DATA_OF_TEXTS, "of data belong to kinds that write texts")
            refuse_keys(objective, _OF_TEXTS, "of objective belong to loss: lm")
        else:
            if objective.loss == "ce" or objective.paired is not None:
                raise ValueError(
                    "objective.loss: ce, and paired, belong to kind: classifier; use lm, or kd"
                )
            if objective.loss == "kd":
                self._imitates_recorded_tokens()
            if "label_share" in objective.model_fields_set and data.rationale != "task":
                raise ValueError("objective.label_share needs data.rationale: task")
            if objective.counterfactual_share is not None and data.rationale == "task":
                raise ValueError(
                    "objective.counterfactual_share and data.rationale: task are two ways; use one"
                )
            if data.labels is not None:
                raise ValueError("data.labels belongs to kind: classifier")
        return self

    def _imitates_recorded_tokens(self) -> None:
        if self.kind != "causal":
            raise ValueError(
                f"objective.loss: kd needs kind: causal or classifier, not {self.kind}"
            )
        if self.data.form.placement == "none":
            raise ValueError("objective.loss: kd learns the tokens of a rationale; data has none")
        if self.objective.weights.rationale == 0:
            raise ValueError("objective.loss: kd needs objective.weights.rationale above 0")
        refuse_keys(self.objective, ("beta", "layers", "soft_labels"), "belong to kind: classifier")

    @model_validator(mode="after")
    def _input_tells_what_it_must(self) -> StudentConfig:
        data = self.data
        if data.input is not None:
            tasks = data.form.placement == "task"
            check_input(data.input, self.kind == "classifier", bool(data.control), tasks)
        return self

    @model_validator(mode="after")
    def _votes_can_be_taken(self) -> StudentConfig:
        if self.evaluate.samples > 1 and self.kind == "classifier":
            raise ValueError("evaluate.samples: a vote needs a student that writes, no classifier")
        return self

    @model_validator(mode="after")
    def _pairs_fill_batches(self) -> StudentConfig:
        if self.objective.paired is not None and not self.data.pairs:
            raise ValueError("objective.paired needs data.pairs: true")
        if self.data.pairs and self.optim.batch % 2:
            raise ValueError(f"data.pairs needs an even optim.batch; found {self.optim.batch}")
        if self.data.pairs and self.data.rationales.per_question == "one":
            raise ValueError("data.pairs takes all rows; set data.rationales.per_question: all")
        return self

    @model_validator(mode="after")
    def _reuse_is_within_the_epochs(self) -> StudentConfig:
        reuse, epochs = self.stream.reuse, self.epochs
        if reuse is not None and epochs is not None and reuse > epochs:
            raise ValueError(
                f"stream.reuse is {reuse}, and the run passes over a row {epochs} times in all; "
                "raise optim.epochs, or lower it"
            )
        return self

    @property
    def epochs(self) -> int | None:
        """Passes over the dataset; None if `max_steps` sets the length."""
        return self.optim.epochs or (None if self.optim.max_steps else 1)


def read_document(path: Path, section: str | None = None) -> Document:
    """Load the document of a file, or its part under `section` (dotted). Raises ProblemsError."""
    document = load_document(path)
    if section is None:
        return document
    parts = section.split(".")
    for depth, part in enumerate(parts):
        at = document.section(parts[:depth]) if depth else document
        if not isinstance(at.data, dict) or part not in at.data:
            raise ProblemsError([at.problem((), f"section {section!r} is missing")])
    return document.section(parts)


def override(document: Document, settings: Iterable[str]) -> Document:
    """Apply `KEY=VALUE` settings to a document. Raises ProblemsError."""
    for setting in settings:
        document = _override(document, setting)
    return document


def parse_config(document: Document) -> StudentConfig:
    """Parse the student of a document. Raises ProblemsError with all problems at once."""
    return parse_model(document, StudentConfig)


def problem_path(document: Document, problem: Problem) -> list[str | int]:
    """Find the keys that lead to the value that a problem is about, as far as its position
    tells."""
    here = [
        path
        for path, mark in document.marks.items()
        if (mark.file, mark.line, mark.column) == (problem.file, problem.line, problem.column)
    ]
    named = [path for path in here if path and _names(problem.message, path[-1])]
    ordered = sorted(named or here, key=lambda path: len(path), reverse=bool(named))
    return list(ordered[0]) if ordered else []


def _names(message: str, key: str | int) -> bool:
    return message.startswith(f"{key}: ") or repr(key) in message


def _override(document: Document, setting: str) -> Document:
    """Replace the value at one `dotted.key=value`; the value is read as YAML."""
    key, equals, text = setting.partition("=")
    file = override_name(key, text) if equals else f"--set {setting}"
    if not equals or not all(key.split(".")):
        raise ProblemsError([Problem(file, 1, 1, "expected KEY=VALUE, as in optim.lr=1e-4")])
    value = parse_text(text, file)
    path = tuple(key.split("."))
    data = _replaced(document.data, path, value.data)
    marks = {p: m for p, m in document.marks.items() if p[: len(path)] != path}
    # Keys that only the setting made stand where the setting stands.
    for end in range(1, len(path) + 1):
        marks.setdefault(path[:end], value.mark())
    marks.update({(*path, *p): m for p, m in value.marks.items()})
    return Document(document.file, data, marks)


def _replaced(data: Any, path: tuple[str, ...], value: Any) -> Any:
    if not path:
        return value
    inner = data if isinstance(data, dict) else {}
    return {**inner, path[0]: _replaced(inner.get(path[0]), path[1:], value)}


_OF_TEXTS = ("weights", "normalise", "label_share", "counterfactual_share")
_DATA_OF_TEXTS = (
    "rationale", "label", "marker", "target", "chat", "control", "rationales", "max_target", "pack"
)  # fmt: skip
