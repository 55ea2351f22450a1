"""The sections of a recipe, versions 1 and 2, as typed models: what may be written where.

Knows nothing of files, ops or what a graph means; an op's own parameters pass through untyped.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from raygen.config import found
from raygen.core import TaskName, without_secret
from raygen.core.choices import AnswerForm
from raygen.engines import Api, Backend
from raygen.ops.common import EngineSampling, ThinkingSettings
from raygen.sources import MAX_INVALID

RECIPE_VERSION = 2
"""The newest version; raygen reads those from 1 on."""

Address = Annotated[str, AfterValidator(without_secret)]
SourcePath = Annotated[Address, Field(min_length=1)]
Scalar = int | float | str | bool
ParamType = Literal["int", "float", "str", "bool"]
ColumnSource = str | Annotated[list[str], Field(min_length=1)]
Names = str | Annotated[list[str], Field(min_length=1)]
_PYTHON: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "str": (str,),
    "bool": (bool,),
}


class RecipeSection(BaseModel):
    """Base of every section: a key that isn't named here is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Param(RecipeSection):
    """A value that `--set NAME=VALUE` overrides and `${NAME}` uses anywhere in the recipe."""

    type: ParamType
    default: Scalar | None = Field(None, description="without one, --set must give the value")
    help: str = Field("", description="one line for people")
    choices: tuple[Scalar, ...] | None = Field(None, description="the only allowed values")
    min: float | None = Field(None, description="the smallest allowed number")
    max: float | None = Field(None, description="the largest allowed number")

    @model_validator(mode="after")
    def _consistent(self) -> Param:
        if self.type in ("str", "bool") and (self.min is not None or self.max is not None):
            raise ValueError(f"`min` and `max` are for numbers, and the type is {self.type}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min is {self.min:g} and max {self.max:g}; expected min <= max")
        for value in self.choices or ():
            self._check_type(value)
        return self

    def check(self, value: Any) -> Scalar:
        """Convert a value to the param's type. Raises ValueError that says found and expected."""
        self._check_type(value)
        if self.choices is not None and value not in self.choices:
            options = ", ".join(map(repr, self.choices))
            raise ValueError(f"found {found(value)}, expected one of: {options}")
        if self.min is not None and value < self.min:
            raise ValueError(f"found {found(value)}, expected at least {self.min:g}")
        if self.max is not None and value > self.max:
            raise ValueError(f"found {found(value)}, expected at most {self.max:g}")
        typed: Scalar = float(value) if self.type == "float" else value
        return typed

    def _check_type(self, value: Any) -> None:
        is_type = isinstance(value, _PYTHON[self.type])
        if not is_type or (isinstance(value, bool) and self.type != "bool"):
            raise ValueError(f"found {found(value)}, expected a value of type {self.type}")


class Sample(RecipeSection):
    """A fixed random part of the source, for few-shot sets; or the whole of it, shuffled."""

    n: int | None = Field(
        None, ge=1, description="how many rows; without it all, in the order of the draw"
    )
    seed: int = Field(0, ge=0)
    balance: str | None = Field(None, description="a column whose values get equal shares")


class Deduplicate(RecipeSection):
    """Which source rows repeat an earlier one."""

    on: list[str] = Field(min_length=1, description="the columns that must be the same")
    near: float | None = Field(
        None, gt=0, le=1, description="the similarity from which texts count as the same"
    )


class SourceSpec(RecipeSection):
    """Where the source rows come from."""

    path: SourcePath | Annotated[list[SourcePath], Field(min_length=1)] = Field(
        description="a file, glob, s3://, gs:// or hf://datasets/..., or a list of them"
    )
    limit: int | None = Field(None, ge=1, description="only the first rows; not in the plan's hash")
    sample: Sample | None = None
    columns: dict[str, ColumnSource] = Field(
        default_factory=dict,
        description="column name in the recipe: column name in the source, a path as in "
        "question.stem, a template as in '{{ premise }} / {{ hypothesis }}', or a list of columns",
    )
    header: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="the columns of CSV and TSV files that have no header"
    )
    choices: Annotated[list[str], Field(min_length=2)] | None = Field(
        None, description="the options of every row, where the source has no column of them"
    )
    unlabelled: bool = Field(
        False, description="the rows have no gold answers, as where a teacher's are to be labels"
    )
    answer_is: AnswerForm | None = Field(
        None,
        description="the form of the answers: index from 0, position from 1, letter or text; "
        "without it, it is decided for the whole source",
    )
    invalid: Literal["drop", "refuse"] = Field(
        "drop", description="what becomes of rows that don't fit the task; not in the plan's hash"
    )
    max_invalid: float = Field(
        MAX_INVALID,
        ge=0,
        le=1,
        description="share of rows that may be dropped so; more are refused; not in the plan's "
        "hash",
    )
    deduplicate: Annotated[list[str], Field(min_length=1)] | Deduplicate | None = Field(
        None,
        description="leave out rows that repeat an earlier row in these columns, up to case and "
        "white space; or {on: [...], near: 0.9}",
    )
    license: str | None = Field(None, min_length=1, description="of the rows, for the card")

    @property
    def paths(self) -> tuple[str, ...]:
        """The path, or the list of them, as a tuple."""
        return as_names(self.path)

    @property
    def decisive(self) -> dict[str, Any]:
        """What of the source decides the rows, without what decides only how many there are."""
        unset = {name for name in ("header", "choices", "answer_is") if getattr(self, name) is None}
        if not self.unlabelled:
            unset.add("unlabelled")
        return self.model_dump(
            mode="json", exclude={"limit", "license", "invalid", "max_invalid", *unset}
        )

    @property
    def repeated(self) -> Deduplicate | None:
        """What makes a row a repeat, in its long form."""
        written = self.deduplicate
        return Deduplicate(on=written) if isinstance(written, list) else written


class Price(RecipeSection):
    """Dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(None, ge=0, description="of a prompt that the provider has cached")
    batch: float | None = Field(
        None, ge=0, le=1, description="the share of these prices that a batch costs, as 0.5"
    )


_OF_RENDERING = frozenset(
    {
        "add_generation_prompt",
        "chat_template",
        "continue_final_message",
        "conversations",
        "documents",
        "messages",
        "return_assistant_tokens_mask",
        "tools",
    }
)
"""What a chat template gets from the engine, and no recipe may say."""


class EngineSection(RecipeSection):
    """A model, and as defaults the conditions that a profile may override."""

    model: str = Field(min_length=1, description="a hub id, a folder or bundled:NAME")
    revision: str | None = Field(None, min_length=1, description="the hub revision")
    api: Literal["auto"] | Api = Field(
        "auto",
        description="from version 2: how the engine is spoken to; auto: chat where the model has a "
        "chat template or the backend is an endpoint",
    )
    backend: Backend = "vllm"
    gpus: int = Field(0, ge=0, description="GPUs of one engine, 0 on a CPU")
    price: Price | None = None
    sampling: Literal["model"] | EngineSampling | None = Field(
        None,
        description="defaults for all of its ops; `model` takes those of the model's "
        "generation_config.json",
    )
    thinking: ThinkingSettings | None = Field(
        None, description="how a reasoning model thinks, for all of its ops"
    )
    template_args: dict[str, Any] = Field(
        default_factory=dict, description="what else the model's chat template takes, by name"
    )
    args: dict[str, Any] = Field(default_factory=dict, description="the backend's own arguments")
    license: str | None = Field(None, min_length=1, description="of the model, for the card")

    @field_validator("template_args")
    @classmethod
    def _only_extras(cls, value: dict[str, Any]) -> dict[str, Any]:
        if own := sorted(_OF_RENDERING & set(value)):
            raise ValueError(f"{', '.join(own)}: raygen sets it itself; take it out")
        return value


class NodeSection(BaseModel):
    """One step of the graph; the keys beside these are the op's own parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    op: str
    inputs: Names = Field(alias="from", description="`source`, a node, or a list of them")
    engine: str | None = Field(None, description="a name under `engines`")

    @property
    def sources(self) -> tuple[str, ...]:
        """The inputs as a tuple."""
        return as_names(self.inputs)


class Output(RecipeSection):
    """What becomes the dataset, and where it goes."""

    inputs: Names = Field(alias="from", description="the nodes whose rows are the examples")
    path: Address = Field(min_length=1, description="the output folder")
    rows: int | None = Field(None, ge=1, description="stop when so many examples are kept")
    pairs: int | None = Field(
        None, ge=1, description="stop when so many source rows of each class are kept"
    )
    max_failed: float = Field(
        0.05, ge=0, le=1, description="share of rows that may fail before the run counts as failed"
    )

    @property
    def sources(self) -> tuple[str, ...]:
        """The inputs as a tuple."""
        return as_names(self.inputs)


class RecipeSections(RecipeSection):
    """A whole recipe."""

    extends: str | None = Field(
        None, description="the recipe that this one changes: a path, or a reference to fetch"
    )
    recipe: str = Field(min_length=1, description="its name")
    version: Literal[1, 2]
    description: str = ""
    license: str | None = Field(None, min_length=1, description="of the dataset, for its card")
    authors: list[str] = Field(default_factory=list, description="whom to cite, for the card")
    params: dict[str, Param] = Field(default_factory=dict)
    source: SourceSpec
    task: TaskName
    labels: list[str] | None = Field(
        None, min_length=2, description="the classes of a classification, in the order of indices"
    )
    engines: dict[str, EngineSection] = Field(default_factory=dict)
    graph: dict[str, NodeSection] = Field(min_length=1)
    output: Output
    train: str | dict[str, Any] | None = Field(
        None, description="a student's file, or the student itself"
    )
    variants: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="named sets of changes: a param, or a dotted path into the recipe -> its value",
    )

    @model_validator(mode="after")
    def _labels_are_classes(self) -> RecipeSections:
        if self.labels is not None and self.task != "classification":
            raise ValueError(f"`labels` belongs to task: classification, and this is {self.task}")
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels has one twice: {self.labels}")
        return self

    @model_validator(mode="after")
    def _api_needs_version_2(self) -> RecipeSections:
        named = [name for name, engine in self.engines.items() if "api" in engine.model_fields_set]
        if self.version == 1 and named:
            raise ValueError(f"engine {named[0]!r} has `api`, which needs version: 2")
        return self


def as_names(value: str | list[str]) -> tuple[str, ...]:
    """Turn a name or a list of names into a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)
