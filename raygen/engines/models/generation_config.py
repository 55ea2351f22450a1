"""How a model's makers sample from it: the settings in its `generation_config.json`.

Knows nothing of recipes or backends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raygen.core import DamagedFileError, first_line, read_json_object
from raygen.engines.base import EngineSetupError, EngineSpec
from raygen.engines.models.hub_access import hub_access
from raygen.engines.models.resolution import resolve_model

_FILE = "generation_config.json"
_SETTINGS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


def model_sampling(spec: EngineSpec) -> dict[str, Any]:
    """Return the sampling settings of an engine's model, by the names that recipes have for them.

    A model that isn't sampled from (`do_sample: false`) has temperature 0. For an adapter they are
    those of the model that it was made for. Raises EngineSetupError if the model can't be had, or
    says nothing of sampling.
    """
    with hub_access(anonymous=spec.anonymous):
        model = resolve_model(spec.model, spec.revision)
        folder = Path(model.model).expanduser()
        file = folder / _FILE if folder.is_dir() else _fetched(model.model, model.revision)
    settings = _read(spec, file)
    own = {name: settings[name] for name in _SETTINGS if settings.get(name) is not None}
    if settings.get("do_sample") is False:
        return {"temperature": 0.0}
    if not own and settings.get("do_sample") is not True:
        raise EngineSetupError(
            f"{file} of {spec.model} has no settings of sampling; write them into the recipe, as "
            "in `sampling: {temperature: 0.7, top_p: 0.8}`"
        )
    return own


def _read(spec: EngineSpec, file: Path) -> dict[str, Any]:
    try:
        return read_json_object(file, "a model's way of sampling")
    except FileNotFoundError:
        raise EngineSetupError(
            f"{spec.model} has no {_FILE}; write the settings into the recipe, as in "
            "`sampling: {temperature: 0.7, top_p: 0.8}`"
        ) from None
    except (OSError, DamagedFileError) as error:
        raise EngineSetupError(f"{_FILE} of {spec.model} can't be read: {error}") from error


def _fetched(model: str, revision: str | None) -> Path:
    """Fetch a hub model's file, from the cache if it is there."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
    )

    try:
        cached = try_to_load_from_cache(model, _FILE, revision=revision)
        if isinstance(cached, str):
            return Path(cached)
        return Path(hf_hub_download(model, _FILE, revision=revision))
    except LocalEntryNotFoundError as error:
        raise EngineSetupError(f"{_FILE} of {model} can't be had: {first_line(error)}") from error
    except EntryNotFoundError:
        return Path(model) / _FILE
    except (HfHubHTTPError, OSError) as error:
        raise EngineSetupError(f"{_FILE} of {model} can't be had: {first_line(error)}") from error
