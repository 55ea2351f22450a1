"""Find out whether a model has a chat template, from its small files and before it is loaded.

Fetches these from the hub if need be. Knows nothing of what a template says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raygen.core import DamagedFileError, read_json_object
from raygen.engines.models.bundled import BUNDLED, PREFIX
from raygen.engines.models.hub import fetch_file
from raygen.engines.models.resolution import resolve_model

_TEMPLATES = ("chat_template.jinja", "chat_template.json")
_TOKENIZER = "tokenizer_config.json"


def has_chat_template(model: str, revision: str | None) -> bool:
    """Tell whether a model, or an adapter's own folder, has a chat template.

    Raises EngineSetupError, with what to do, if the model can't be had.
    """
    if model.startswith(PREFIX):
        known = BUNDLED.get(model.removeprefix(PREFIX))
        return known is not None and known.chats
    folder = Path(model).expanduser()
    if folder.is_dir() and _folder_has_template(folder):
        return True
    resolved = resolve_model(model, revision)
    if resolved.adapter is not None and _folder_has_template(resolved.adapter):
        return True
    if resolved.model.startswith(PREFIX):
        return has_chat_template(resolved.model, None)
    base = Path(resolved.model).expanduser()
    if base.is_dir():
        return _folder_has_template(base)
    return _hub_has_template(resolved.model, resolved.revision)


def _folder_has_template(folder: Path) -> bool:
    if any((folder / name).is_file() for name in _TEMPLATES):
        return True
    return bool(_settings(folder / _TOKENIZER).get("chat_template"))


def _hub_has_template(model: str, revision: str | None) -> bool:
    tokenizer = fetch_file(model, _TOKENIZER, revision)
    if tokenizer is not None and _settings(tokenizer).get("chat_template"):
        return True
    return any(fetch_file(model, name, revision) is not None for name in _TEMPLATES)


def _settings(file: Path) -> dict[str, Any]:
    try:
        return read_json_object(file, "a tokenizer's settings")
    except (OSError, DamagedFileError):
        return {}
