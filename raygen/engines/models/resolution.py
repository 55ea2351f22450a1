"""Resolve a model: a plain one, or a LoRA adapter together with the model it was made for.

Knows nothing of backends. An adapter's folder (what peft's `save_pretrained` writes, and
streamtrain's `final/`) is named as the engine's `model` like any other: which adapter answers is
part of the dataset's identity, so it is no running condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.core import DamagedFileError, expand_home, first_line, read_json_object
from raygen.engines.base import EngineSetupError
from raygen.engines.models.adapter import (
    ADAPTER,
    AdapterBase,
    adapter_base,
    check_adapter,
    check_hub_base,
    check_patterns,
)
from raygen.engines.models.bundled import bundled_path, model_path
from raygen.engines.models.hub import MissingConfigError, cached_config, fetch_adapter, find_config


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
    folder = expand_home(path)
    base = adapter_base(folder)
    if base is not None:
        return _with_base(model, folder, base)
    try:
        return ResolvedModel(path, revision, find_config(path, revision))
    except MissingConfigError as error:
        adapter = None if folder.is_dir() else fetch_adapter(path, revision)
        base = None if adapter is None else adapter_base(adapter)
        if adapter is None or base is None:
            raise error from None
    check_hub_base(model, base.model)
    return _with_base(model, adapter, base)


def _with_base(model: str, adapter: Path, base: AdapterBase) -> ResolvedModel:
    """Find the model that the adapter in a folder was made for. Raises EngineSetupError."""
    try:
        base_path = model_path(base.model)
        config = find_config(base_path, base.revision)
    except EngineSetupError as error:
        raise EngineSetupError(
            f"{model!r} is an adapter, and the model that it was made for can't be had: {error}; "
            f"correct base_model_name_or_path in {adapter / ADAPTER}"
        ) from error
    if (expand_home(base_path) / ADAPTER).is_file():
        raise EngineSetupError(
            f"{model!r} is an adapter of another adapter, {base.model!r}; merge that one into its "
            "model first, and name the merged model in base_model_name_or_path"
        )
    check_adapter(adapter)
    return ResolvedModel(base_path, base.revision, config, adapter)


def check_inner_adapter(model: str, revision: str | None) -> None:
    """Check an adapter that lies in a model's own repository or folder: transformers loads it too.

    `model` is a folder or a hub id. Raises EngineSetupError for one that isn't safe to load.
    """
    from transformers.utils import find_adapter_config_file

    folder = Path(model)
    # The cache knows of a commit which files it lacks, so that the hub isn't asked.
    config = None if folder.is_dir() else cached_config(model, revision)
    file = find_adapter_config_file(model, revision=config.parent.name if config else revision)
    if file is None:
        return
    if not folder.is_dir():
        folder = fetch_adapter(model, revision) or Path(file).parent
        if (base := adapter_base(folder)) is not None:
            check_hub_base(model, base.model)
    check_adapter(folder)
    check_patterns(folder, None)


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
    folder = bundled_path(model) or expand_home(model)
    if (folder / ADAPTER).is_file():
        base = _read(folder / ADAPTER).get("base_model_name_or_path")
        return _config_at_hand(base, None) if isinstance(base, str) else None
    return _config_at_hand(model, revision)


def _config_at_hand(model: str, revision: str | None) -> dict[str, Any] | None:
    folder = bundled_path(model) or expand_home(model)
    config = folder / "config.json" if folder.is_dir() else cached_config(model, revision)
    return _read(config) if config is not None and config.is_file() else None


def _read(file: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one if the file holds none."""
    try:
        return read_json_object(file, "a model's settings")
    except (OSError, DamagedFileError):
        return {}
