"""The default prompts of the ops, as readable Jinja files that a recipe can replace."""

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=64)
def default_prompt(name: str) -> str:
    """Return the text of the default prompt `name`, a file of raygen/prompts."""
    return files("raygen.ops").joinpath("prompts", f"{name}.j2").read_text("utf-8").rstrip("\n")
