"""Find a model's configuration: in a local folder, in the hub's cache, or on the hub.

Looks at the smallest file of a model before an engine spends half a minute on it, so that a wrong
name, a closed door or a missing network is one sentence and not a page. Knows nothing of engines.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raygen.core import expand_home
from raygen.engines.base import EngineSetupError


class MissingConfigError(EngineSetupError):
    """The model was found, but has no `config.json`."""


def find_config(model: str, revision: str | None) -> Path:
    """Return the path of a model's `config.json`, fetched into the hub's cache if need be.

    Raises EngineSetupError, with what to do, if the model can't be had.
    """
    name = repr(model) + (f" at revision {revision!r}" if revision else "")
    folder = expand_home(model)
    if folder.is_dir():
        config = folder / "config.json"
        if not config.is_file():
            raise MissingConfigError(
                f"model {name}: the folder {folder.resolve()} has no config.json; "
                "give the folder that `save_pretrained` wrote"
            )
        return config
    if model.startswith(("/", "./", "../", "~")) or model.count("/") > 1:
        raise EngineSetupError(
            f"model {name}: there is no folder {folder.absolute()}; "
            "correct the path, or give a name of the Hugging Face hub"
        )
    return _fetch_config(model, revision, name)


def cached_config(model: str, revision: str | None) -> Path | None:
    """Return the path of a hub model's `config.json` in the cache; None if it isn't there."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = try_to_load_from_cache(model, "config.json", revision=revision)
    except HFValidationError:
        return None
    return Path(cached) if isinstance(cached, str) else None


def fetch_file(model: str, file: str, revision: str | None) -> Path | None:
    """Fetch a small file of a hub model, asking the cache first; None where the model has none.

    Raises EngineSetupError if the hub can't be asked.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
    )

    cached = try_to_load_from_cache(model, file, revision=revision)
    if cached is not None:  # a path, or a mark that the model has no such file
        return Path(cached) if isinstance(cached, str) else None
    try:
        with _quiet_client():
            return Path(hf_hub_download(model, file, revision=revision))
    except LocalEntryNotFoundError as error:
        raise EngineSetupError(
            f"model {model!r}: {file} is not in the cache, and the hub can't be reached"
        ) from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError) as error:
        raise EngineSetupError(f"model {model!r}: {file} can't be had: {error}") from error


def hub_commit(model: str, revision: str | None) -> str:
    """Resolve a revision of a hub model to a commit, by the hub, or offline by the cache.

    Raises EngineSetupError, with what to do, if neither knows it.
    """
    name = repr(model) + (f" at revision {revision!r}" if revision else "")
    with _quiet_client():
        try:
            return _fetch_config(model, revision, name, newest=True).parent.name
        except MissingConfigError as error:
            adapter = fetch_adapter(model, revision)
            if adapter is None:
                raise error from None
            return adapter.name


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Quiet the hub's client, whose retries the user need not see."""
    from huggingface_hub.utils import logging as hub_logging

    level = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        hub_logging.set_verbosity(level)


def fetch_adapter(model: str, revision: str | None) -> Path | None:
    """Fetch the adapter of a hub repository and return its folder; None if it has none."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        folder = snapshot_download(
            model,
            revision=revision,
            allow_patterns=[
                "adapter_*.json",
                "adapter_*.safetensors",
                "*token*",
                "*.jinja",
                "vocab*",
            ],
        )
    except (HfHubHTTPError, OSError):
        return None
    return Path(folder) if (Path(folder) / "adapter_config.json").is_file() else None


def _fetch_config(model: str, revision: str | None, name: str, newest: bool = False) -> Path:
    """Fetch `config.json`, asking the cache first, or last for the `newest`."""
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    looked = f"model {name}: looked in {constants.HF_HUB_CACHE} and on {constants.ENDPOINT}: "
    try:
        # Without a network the hub is asked for half a minute, so the cache comes first.
        cached = try_to_load_from_cache(model, "config.json", revision=revision)
        if isinstance(cached, str) and not newest:
            return Path(cached)
        return Path(hf_hub_download(model, "config.json", revision=revision))
    except GatedRepoError as error:
        problem = "its owner lets only known users in; accept its terms there, then set HF_TOKEN"
        raise EngineSetupError(looked + problem) from error
    except RevisionNotFoundError as error:
        raise EngineSetupError(f"{looked}it has no such revision; correct it") from error
    except RepositoryNotFoundError as error:
        problem = "there is no such model, or it is private; correct the name, or set HF_TOKEN"
        raise EngineSetupError(looked + problem) from error
    except HFValidationError as error:
        raise EngineSetupError(
            f"model {name} is neither a folder here nor a possible name on the hub; correct it"
        ) from error
    except LocalEntryNotFoundError as error:
        raise EngineSetupError(
            f"{looked}not in the cache, and the hub can't be reached; fetch it first where there "
            f"is a network (`hf download {model}`), or use a folder or a bundled: model"
        ) from error
    except EntryNotFoundError as error:
        raise MissingConfigError(f"{looked}it has no config.json, so it is no model") from error
    except (HfHubHTTPError, OSError) as error:
        raise EngineSetupError(f"{looked}{error}; try again, or use a folder") from error
