"""Resolve a model: a plain one, or a LoRA adapter together with the model it was made for.

Knows nothing of backends. An adapter's folder (what peft's `save_pretrained` writes, and
streamtrain's `final/`) is named as the engine's `model` like any other: which adapter answers is
part of the dataset's identity, so it is no running condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.core import DamagedFileError, first_line, read_json_object
from raygen.engines.base import EngineSetupError
from raygen.engines.models.bundled import bundled_path, model_path
from raygen.engines.models.hub import MissingConfigError, cached_config, fetch_adapter, find_config

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model's folder or hub id with its `config.json`, and its adapter's folder if it has one.

    `revision` is the plain model's.
    """

    model: str
    revision: str | None
    config: Path
    adapter: Path | None = None


def resolve_model(model: str, revision: str | None) -> ResolvedModel:
    """Find `model`, fetching its small files if it comes from the hub.

    Raises EngineSetupError, with what to do, if it can't be had.
    """
    path = model_path(model)
    adapter = Path(path).expanduser()
    if not (adapter / ADAPTER).is_file():
        try:
            return ResolvedModel(path, revision, find_config(path, revision))
        except MissingConfigError as error:
            adapter_folder = None if adapter.is_dir() else fetch_adapter(path, revision)
            if adapter_folder is None:
                raise error from None
            adapter = adapter_folder
    settings = _read(adapter / ADAPTER)
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise EngineSetupError(f"{adapter / ADAPTER} names no base_model_name_or_path; add it")
    try:
        base_path = model_path(base)
        config = find_config(base_path, settings.get("revision"))
    except EngineSetupError as error:
        raise EngineSetupError(
            f"{model!r} is an adapter, and the model that it was made for can't be had: {error}; "
            f"correct base_model_name_or_path in {adapter / ADAPTER}"
        ) from error
    check_adapter(adapter)
    return ResolvedModel(base_path, settings.get("revision"), config, adapter)


def check_adapter(folder: Path) -> None:
    """Raise EngineSetupError for an adapter that would run code when it is loaded."""
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise EngineSetupError(
            f"the adapter {folder} has no {ADAPTER_WEIGHTS}: weights of other formats may carry "
            "code and are never loaded; save it again with peft's `save_pretrained`"
        )
    if _read(folder / ADAPTER).get("megatron_config") is not None:
        raise EngineSetupError(
            f"{folder / ADAPTER} has a megatron_config, for which peft imports the module that "
            "the adapter names; remove it"
        )


def describe_load_failure(error: Exception) -> str:
    """Say in one line why transformers couldn't load a model."""
    first = first_line(error)
    if isinstance(error, OSError) and "safetensors" in first:
        # transformers advises to allow pickled ones.
        return (
            "it has no weights as safetensors, and pickled ones are never loaded; name a "
            "`revision:` that has them (the hub's converter offers one as refs/pr/N), or load it "
            "once where you trust it and save it with save_pretrained"
        )
    return first


def known_config(model: str, revision: str | None) -> dict[str, Any] | None:
    """Return the content of a model's `config.json` if it is at hand; None if it must be fetched.

    For an adapter, that of the model it was made for.
    """
    folder = bundled_path(model) or Path(model).expanduser()
    if (folder / ADAPTER).is_file():
        base = _read(folder / ADAPTER).get("base_model_name_or_path")
        return known_config(base, None) if isinstance(base, str) else None
    config = folder / "config.json" if folder.is_dir() else cached_config(model, revision)
    return _read(config) if config is not None and config.is_file() else None


def _read(file: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one if the file holds none."""
    try:
        return read_json_object(file, "a model's settings")
    except (OSError, DamagedFileError):
        return {}
