from pathlib import Path
from typing import Any

import jsonschema
import pytest

from raygen.config.document import load_document
from raygen.ops.registry import all_ops
from raygen.recipe.json_schema import profile_schema, recipe_schema, write_schemas
from tests.local.raygen.cli.test_validate_light import RECIPE as EVERY_OP

RECIPES = Path(__file__).parents[4] / "recipes"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = recipe_schema(all_ops())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def shipped() -> list[Path]:
    """Every recipe, without the profiles, and the students that lie beside recipes."""
    paths = [path for path in RECIPES.rglob("*.yaml") if "profiles" not in path.parts]
    return sorted(path for path in paths if "recipe" in load_document(path).data)


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.relative_to(RECIPES).as_posix())
def test_every_shipped_recipe_fits_the_schema(
    validator: jsonschema.Draft202012Validator, path: Path
) -> None:
    assert [error.message for error in validator.iter_errors(load_document(path).data)] == []


@pytest.mark.parametrize("path", sorted(RECIPES.glob("profiles/*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_profile_fits_the_schema(path: Path) -> None:
    jsonschema.validate(load_document(path).data, profile_schema())


def recipe_with(node: dict[str, Any], **top: Any) -> dict[str, Any]:
    return {
        "recipe": "r",
        "version": 1,
        "source": {"path": "x"},
        "task": "free_text",
        "engines": {"t": {"model": "m", "gpus": "${g}"}},
        "graph": {"a": node},
        "output": {"from": "a", "path": "out"},
        **top,
    }


def test_a_recipe_with_every_op_and_labels_fit(
    validator: jsonschema.Draft202012Validator, tmp_path: Path
) -> None:
    (tmp_path / "recipe.yaml").write_text(EVERY_OP)
    recipe = load_document(tmp_path / "recipe.yaml").data
    assert [error.message for error in validator.iter_errors(recipe)] == []
    labelled = {**recipe, "task": "classification", "labels": ["bad", "good"]}
    assert validator.is_valid(labelled)
    assert not validator.is_valid({**labelled, "labels": "bad, good"})
    assert not validator.is_valid({**labelled, "labels": ["bad"]})


GENERATE = {"op": "generate", "from": "source", "engine": "t", "into": "x", "prompt": "p"}


@pytest.mark.parametrize(
    "recipe",
    [
        recipe_with(GENERATE),
        recipe_with({**GENERATE, "n": "${n}", "truncated": "${t}", "prompt": {"file": "p.j2"}}),
        recipe_with({**GENERATE, "from": ["source"]}, train="s.yaml"),
        recipe_with(GENERATE, params={"n": {"type": "int", "default": 3, "min": 1}}),
        {"extends": "../base", "graph": {"a": {"n": 3}, "b": None}},
    ],
)
def test_good_recipes_fit(
    validator: jsonschema.Draft202012Validator, recipe: dict[str, Any]
) -> None:
    assert [error.message for error in validator.iter_errors(recipe)] == []


@pytest.mark.parametrize(
    "recipe",
    [
        recipe_with({**GENERATE, "op": "generat"}),
        recipe_with({**GENERATE, "n": "three"}),
        recipe_with({**GENERATE, "temprature": 1}),
        recipe_with({k: v for k, v in GENERATE.items() if k != "engine"}),
        recipe_with({"op": "filter", "from": "source", "where": "x", "engine": "t"}),
        recipe_with({"op": "filter", "where": "x"}),
        {"extends": "../base", "grph": {}},
        {"extends": 3},
        recipe_with(GENERATE, version=3),
    ],
)
def test_bad_recipes_do_not_fit(
    validator: jsonschema.Draft202012Validator, recipe: dict[str, Any]
) -> None:
    assert not validator.is_valid(recipe)


@pytest.mark.parametrize("name", ["recipe.json", "profile.json"])
def test_the_shipped_schemas_are_those_of_the_code(tmp_path: Path, name: str) -> None:
    write_schemas(tmp_path)
    shipped = (RECIPES / "schema" / name).read_text()
    assert shipped == (tmp_path / name).read_text(), "run `make schema`"
