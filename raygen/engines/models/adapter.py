"""A LoRA adapter's folder as a stranger may have made it: what its settings say, checked.

peft follows these settings, so they are read before it sees them. Knows nothing of how a model is
loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.core import DamagedFileError, read_json_object
from raygen.core.limited import LimitError, Limits, run_limited
from raygen.engines.base import EngineSetupError

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

_KIND = "LORA"
_NAME = re.compile(r"[\w.-]*")
"""What stands for itself in a pattern (a point for any character)."""
_MATCHING = Limits(memory=256 << 20, cpu_s=5, wall_s=30)
_PATH = re.compile(r"(?:/|~|\.\.?(?:/|$)|file:|(?:.*/)?\.\.(?:/|$)).*|[^/]*/[^/]*/.*", re.DOTALL)
"""A text that is a path of this machine and no name of the hub."""


@dataclass(frozen=True, slots=True)
class AdapterBase:
    """The model that an adapter was made for, and its revision on the hub."""

    model: str
    revision: str | None


def adapter_base(folder: Path) -> AdapterBase | None:
    """Read which model an adapter was made for; None if the folder holds no adapter.

    Raises EngineSetupError for an adapter that names none.
    """
    settings = _settings(folder)
    if settings is None:
        return None
    base, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    if not isinstance(base, str) or not base:
        raise EngineSetupError(f"{folder / ADAPTER} names no base_model_name_or_path; add it")
    if not isinstance(revision, str | None):
        raise EngineSetupError(f"{folder / ADAPTER}: revision: found {revision!r}, expected a text")
    return AdapterBase(base, revision)


def check_adapter(folder: Path) -> None:
    """Raise EngineSetupError for an adapter that would run code, or read other files, when it is
    loaded."""
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise EngineSetupError(
            f"the adapter {folder} has no {ADAPTER_WEIGHTS}: weights of other formats may carry "
            "code and are never loaded; save it again with peft's `save_pretrained`"
        )
    settings = _settings(folder) or {}
    if settings.get("megatron_config") is not None:
        raise EngineSetupError(
            f"{folder / ADAPTER} has a megatron_config, for which peft imports the module that "
            "the adapter names; remove it"
        )
    if (kind := settings.get("peft_type", _KIND)) != _KIND:
        raise EngineSetupError(
            f"{folder / ADAPTER}: peft_type: found {kind!r}, expected {_KIND}: adapters of other "
            "kinds may name files and models to load; merge it where you trust it, and save the "
            "whole model"
        )


def check_hub_base(adapter: str, base: str) -> None:
    """Raise EngineSetupError for an adapter of the hub that names a model of this machine."""
    if _PATH.fullmatch(base) or Path(base).exists():
        raise EngineSetupError(
            f"the adapter {adapter!r} of the hub was made for {base!r}, which would be a folder "
            "of this machine; download it, look at it, and name its folder instead"
        )


def check_patterns(folder: Path, modules: Sequence[str] | None) -> None:
    """Try the patterns of an adapter's settings on a model's modules, in a process with limits.

    peft matches each of them with each module, and a pattern may take for ever. `modules` are the
    names of the model's modules; None where nobody knows them yet, so that settings with patterns
    are refused. Raises EngineSetupError.
    """
    patterns = list(_patterns(_settings(folder) or {}))
    if not patterns:
        return
    if modules is None:
        raise EngineSetupError(
            f"{folder / ADAPTER} selects modules by patterns, and they can't be tried before the "
            f"model is loaded; write the modules' names there instead: {patterns[0][:100]!r}"
        )
    try:
        run_limited(
            _match_all, patterns, list(modules),
            subject=f"matching the patterns of {folder / ADAPTER}", limits=_MATCHING,
        )  # fmt: skip
    except (LimitError, ValueError) as error:
        raise EngineSetupError(str(error)) from error


def _settings(folder: Path) -> dict[str, Any] | None:
    """Read an adapter's settings; None if the folder holds none."""
    try:
        return read_json_object(folder / ADAPTER, "the settings that peft's save_pretrained writes")
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no path at all
        return None
    except (OSError, DamagedFileError) as error:
        raise EngineSetupError(str(error)) from error


def _patterns(settings: dict[str, Any]) -> Iterator[str]:
    """Yield the regular expressions that peft makes of the settings, but those of plain names."""
    for key in ("target_modules", "exclude_modules"):
        if isinstance(text := settings.get(key), str) and not _NAME.fullmatch(text):
            yield text
    forms = {
        "rank_pattern": r"(.*\.)?({})$",
        "alpha_pattern": r"(.*\.)?({})$",
        "modules_to_save": r"(^|.*\.){}($|\..*)",
        "layers_pattern": r"(?:^|.*?\.){}\.(?P<idx>\d+)\.",
    }
    for key, form in forms.items():
        texts = settings.get(key) or ()
        for text in [texts] if isinstance(texts, str) else texts:
            if isinstance(text, str) and not _NAME.fullmatch(text):
                yield form.replace("{}", text)


def _match_all(patterns: Sequence[str], names: Sequence[str]) -> None:
    """Match each pattern with each name. Raises ValueError for what is no pattern."""
    for pattern in patterns:
        try:
            compiled = re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{pattern[:100]!r} is no pattern: {error}") from error
        for name in names:
            compiled.match(name)
            compiled.fullmatch(name)
