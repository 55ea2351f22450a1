"""Fetch a recipe by reference into the cache, under the pin of exactly what was fetched.

Knows which kind of reference is fetched how; knows nothing of what a recipe means.
"""

from __future__ import annotations

from pathlib import Path

from raygen.core import UserError
from raygen.core.access import Anonymous
from raygen.recipe.remote import cache
from raygen.recipe.remote.boundary import escape_reason
from raygen.recipe.remote.gather import gather
from raygen.recipe.remote.git import fetch_git, is_commit
from raygen.recipe.remote.ref import Fetched, RecipeRef, is_remote, parse_ref

__all__ = ["fetch", "find_recipe", "is_remote", "recipe_in"]


def find_recipe(text: str) -> tuple[Path, Fetched | None]:
    """Find the file of the recipe that a path or a reference names; fetch it if need be.

    Returns the file, and what it was fetched with: None for a path. Raises UserError.
    """
    if is_remote(text):
        fetched = fetch(text)
        return fetched.file, fetched
    return Path(text.removeprefix("file://")), None


def recipe_in(path: Path) -> Path:
    """Find a recipe's file; a folder stands for the `recipe.yaml` in it. Raises UserError."""
    file = path
    try:
        file = path / "recipe.yaml" if path.is_dir() else path
        is_there = file.is_file()
    except OSError as error:  # for example a name that is too long
        raise UserError(f"{file}: {error.strerror}; correct the path of the recipe") from error
    if not is_there:
        raise UserError(f"{file}: no such recipe; expected a YAML file, or a folder with one")
    return file


def fetch(text: str, access: Anonymous | None = None) -> Fetched:
    """Fetch the recipe that a reference names, with the files that it names itself.

    A pin that is cached needs no network. `access` None reads it as the user. Raises UserError.
    """
    ref = parse_ref(text)
    fetchers = {"git": _of_git, "hub": _of_hub, "url": _of_store}
    root, pin = fetchers[ref.kind](ref, access)
    file = root / ref.path
    fetched = Fetched(text, ref.at(pin), pin, root, file)
    if (why := escape_reason(fetched, root, ref.path)) is not None:
        raise UserError(f"{text}: {why}")
    try:
        is_there = file.is_file()
    except OSError:  # a name that is too long for a file
        is_there = False
    if not is_there:
        raise UserError(
            f"{text}: {ref.location} has no file {ref.path!r}; correct the path of the recipe"
        )
    return Fetched(text, ref.at(pin), pin, root, file.resolve())


def _cached_as(location: str, access: Anonymous | None) -> str:
    """Name a location in the cache, where a stranger finds nothing that the user alone may read."""
    return location if access is None else f"anyone/{location}"


def _of_git(ref: RecipeRef, access: Anonymous | None) -> tuple[Path, str]:
    location = _cached_as(ref.location, access)
    known = cache.find_cached(location, ref.rev) if ref.rev and is_commit(ref.rev) else None
    if known is not None and ref.rev is not None:
        return known, ref.rev
    return cache.store_fetched(
        location, lambda into: fetch_git(ref.location, ref.rev, into, access)
    )


def _of_hub(ref: RecipeRef, access: Anonymous | None) -> tuple[Path, str]:
    from raygen.recipe.remote.hub import HubFiles, commit_of

    pin = ref.rev if ref.rev and is_commit(ref.rev) else commit_of(ref.location, ref.rev, access)
    # Of a repository only what this recipe names is there.
    location = _cached_as(f"{ref.location}/{ref.path}", access)
    known = cache.find_cached(location, pin)
    if known is not None:
        return known, pin

    def fill(into: Path) -> str:
        gather(HubFiles(ref.location, pin, access), f"hf://{ref.location}", ref.path, into)
        return pin

    return cache.store_fetched(location, fill)


def _of_store(ref: RecipeRef, access: Anonymous | None) -> tuple[Path, str]:
    location = _cached_as(f"{ref.location}/{ref.path}", access)
    known = cache.find_cached(location, ref.rev) if ref.rev else None
    if known is not None and ref.rev is not None:
        return known, ref.rev

    def fill(into: Path) -> str:
        from raygen.recipe.remote.store import StoreFiles

        gather(StoreFiles(ref.location, access), ref.location, ref.path, into)
        pin = cache.content_hash(into)
        if ref.rev and ref.rev != pin:
            raise UserError(
                f"{ref.location}/{ref.path} is no longer what {ref.rev} names: it has {pin} now; "
                "look at what changed, then name it without the pin"
            )
        return pin

    return cache.store_fetched(location, fill)
