"""What a dataset keeps of its recipe, and the hash of its plan: byte for byte as version 0.1.0.

`frozen_recipes.json` holds, for each case, a digest of the frozen recipe, the plan's hash and a
digest of the engines as they run; `python -m tests.unit.test_frozen_recipes` writes it anew. Where
a recipe is as it was, a change of it means that datasets of earlier versions no longer go on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import raygen
from raygen.config.document import parse_text
from raygen.config.overrides import variant_names
from raygen.core.row import ColumnType
from raygen.ops.registry import built_in
from raygen.planning.plan import make_plan
from raygen.recipe.load import load_recipe
from raygen.recipe.profile import load_profile
from raygen.recipe.recipe import Recipe

RECIPES = Path(raygen.__file__).parents[1] / "tests" / "data" / "recipes-0.1.0"
EXPECTED = Path(__file__).with_name("frozen_recipes.json")
TEXT = Path(__file__).with_name("frozen_recipe.yaml")
CHILD = """\
extends: {path}
recipe: child
params: {{limit: {{type: int, default: 3, help: questions}}}}
source: {{limit: "${{limit}}", sample: {{seed: 5}}}}
output: {{path: "out/${{limit}}"}}
"""
COLUMNS: dict[str, dict[str, ColumnType]] = {
    "multiple_choice": {
        "question": "string",
        "choices": "strings",
        "answer": "string",
        "words": "strings",
    },
    "classification": {"text": "string", "label": "string"},
    "free_text": {"question": "string", "answer": "string", "tests": "strings"},
}
RATIONALES: dict[str, ColumnType] = {
    "rationale": "string",
    "label": "string",
    "made_by": "string",
    "key_tokens": "strings",
}
"""What the source of a variant has that reads the dataset of another variant."""


@dataclass(frozen=True, slots=True)
class Case:
    """A shipped recipe with the options that change it."""

    recipe: str
    variant: str | None = None
    profile: str | None = None
    overrides: dict[str, str] = field(default_factory=dict)
    extended: bool = False

    @property
    def name(self) -> str:
        words = [self.recipe, *(["extended"] if self.extended else [])]
        words += [f"--variant {self.variant}"] if self.variant else []
        words += [f"--profile {self.profile}"] if self.profile else []
        return " ".join([*words, *(f"--set {key}={text}" for key, text in self.overrides.items())])

    def load(self, folder: Path) -> Recipe:
        path = RECIPES / self.recipe
        if self.extended:
            path = folder / "child.yaml"
            path.write_text(CHILD.format(path=RECIPES / self.recipe))
        profile = load_profile(RECIPES / "profiles" / self.profile) if self.profile else None
        return load_recipe(path, self.overrides, profile, variant=self.variant)


def shipped() -> list[str]:
    """The recipes that version 0.1.0 shipped, without profiles and students."""
    files = [path.relative_to(RECIPES).as_posix() for path in sorted(RECIPES.rglob("*.yaml"))]
    others = ("profiles/", "student")
    return [name for name in files if not any(other in name for other in others)]


def cases() -> Iterator[Case]:
    settings = {"output.path": "elsewhere", "source.limit": "7", "output.rows": "9"}
    for name in shipped():
        document = parse_text((RECIPES / name).read_text(), name)
        params = document.data["params"]
        engine = next(iter(document.data["engines"]))
        numbers = {p: "3" for p, about in params.items() if about["type"] == "int"}
        args = {f"engines.{engine}.args.max_model_len": "99", f"engines.{engine}.gpus": "2"}
        yield Case(name)
        yield Case(name, overrides=settings | numbers | args)
        yield Case(name, overrides={f"engines.{engine}.backend": "transformers"} | numbers)
        variants = variant_names(document)
        yield from (Case(name, variant) for variant in variants)
        for variant in variants[:1]:
            yield Case(name, variant, "endpoint.yaml", {"source.limit": "2"} | numbers)
        yield Case(name, profile="no-vllm.yaml")
        yield Case(name, profile="endpoint.yaml", overrides=args)
        yield Case(name, extended=True, overrides={"limit": "8", "recipe": "renamed"})


def described(recipe: Recipe) -> list[str]:
    """What must stay of a loaded recipe: as it is frozen, planned, and run on its engines."""
    columns = COLUMNS[recipe.sections.task]
    if "${out}" in str(recipe.written["source"]["path"]):
        columns = columns | RATIONALES
    specs = recipe.engines.values()
    engines = {
        spec.name: [_named(spec.model), spec.backend, spec.gpus, spec.args] for spec in specs
    }
    # A model in a folder is in the hash by its full path, which is another one elsewhere.
    is_here = any(Path(spec.model).is_absolute() for spec in specs)
    plan = "" if is_here else make_plan(recipe, columns, built_in()).hash
    return [_short(recipe.frozen()), plan, _short(json.dumps(engines))]


def _named(model: str) -> str:
    return Path(model).relative_to(RECIPES.parent).as_posix() if model.startswith("/") else model


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


def sampled() -> Iterator[Any]:
    """Every case; outside test-long every fifth variant, and every second with options."""
    for number, case in enumerate(cases()):
        sweep = number % 5 if case.variant and not case.profile else case.overrides and number % 2
        yield pytest.param(case, id=case.name, marks=pytest.mark.slow if sweep else ())


@pytest.mark.parametrize("case", sampled())
def test_a_shipped_recipe_is_frozen_and_planned_as_ever(case: Case, tmp_path: Path) -> None:
    expected = json.loads(EXPECTED.read_text("utf-8"))
    assert described(case.load(tmp_path)) == expected[case.name]


def test_every_expected_recipe_is_a_case() -> None:
    assert set(json.loads(EXPECTED.read_text("utf-8"))) == {case.name for case in cases()}


BASE = """\
recipe: base
version: 1
description: "Kept: ${model}, $${kept}"
params:
  n: {type: int, default: 2, min: 1}
  model: {type: str, default: tiny}
  demos: {type: str, default: demos.jsonl}
source: {path: rows.jsonl, limit: 9, columns: {question: q}}
task: free_text
engines:
  teacher: {model: "org/${model}", backend: vllm, args: {max_model_len: 64, dtype: auto}}
  other: {model: ./own, backend: transformers}
graph:
  written:
    op: generate
    from: source
    engine: teacher
    into: x
    n: "${n}"
    prompt: {file: "prompts/${model}.j2"}
  again: {op: generate, from: written, engine: other, into: y, prompt: "On ${model}: $${x}"}
  noted: {op: map, from: [written, again], set: {note: question}}
output: {from: noted, path: "out/${n}"}
train: student.yaml
variants:
  more: {n: 9, graph.noted.set: {note: "'${n}'"}, engines.teacher.args: {dtype: float32}}
"""
PROMPT = "Ask ${n}, $${n} or $$:\n  {{ question }}\n"
STUDENT = "student: s\nversion: 1\nmodel: ./m\nnote: ${not ours}\nevaluate: {report: held.jsonl}\n"
TOP = """\
extends: base
recipe: top
params: {n: {default: 4}}
graph: {again: null, noted: {from: written}}
engines: {other: null}
variants: {none: {output.path: none}}
"""


def frozen_text(folder: Path) -> str:
    """A recipe with all that can change one, frozen."""
    base = folder / "base"
    for name, text in (
        ("recipe.yaml", BASE), ("student.yaml", STUDENT), ("prompts/small.j2", PROMPT),
    ):  # fmt: skip
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)
    (folder / "top.yaml").write_text(TOP)
    (folder / "p.yaml").write_text("profile: p\nengines: {'*': {backend: openai, gpus: 1}}\n")
    overrides = {"model": "small", "output.rows": "5", "engines.teacher.args.timeout": "3"}
    recipe = load_recipe(
        folder / "top.yaml", overrides, load_profile(folder / "p.yaml"), variant="more"
    )
    assert recipe.engines["teacher"].args == {"timeout": 3}, "what the command line says is on top"
    return recipe.frozen()


def test_a_recipe_with_all_that_changes_one_is_frozen_as_ever(tmp_path: Path) -> None:
    assert frozen_text(tmp_path) == TEXT.read_text("utf-8")


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as temporary:
        found = {case.name: described(case.load(Path(temporary))) for case in cases()}
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in found.items())
        EXPECTED.write_text(f"{{\n{lines}\n}}\n", "utf-8")
        TEXT.write_text(frozen_text(Path(temporary)), "utf-8")
