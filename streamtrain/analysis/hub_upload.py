"""An exported student on the Hugging Face hub.

Knows nothing of how a student was made or exported.
"""

from __future__ import annotations

import json
from pathlib import Path

from raygen.core import HubError, Repository
from streamtrain.errors import InputError


def check_pushable(folder: Path) -> None:
    """Raise InputError where others couldn't load what is in the folder: an adapter whose base
    model lies on this machine alone."""
    settings = folder / "adapter_config.json"
    if not settings.exists():
        return
    base = json.loads(settings.read_text(encoding="utf-8"))["base_model_name_or_path"]
    if Path(base).is_absolute():
        raise InputError(
            f"the adapter's base model is a folder of this machine ({base}), so nobody else could "
            "load it; push it merged, with --merge"
        )


def push_folder(folder: Path, repository: str, private: bool) -> str:
    """Upload a folder to a model repository `owner/name`, made where there is none; returns the
    address of the commit.

    Raises InputError where the hub refuses or can't be reached.
    """
    student = Repository(repository, "model")
    try:
        student.make(private)
        return student.upload(folder, "A student of streamtrain")
    except HubError as error:
        raise InputError(
            f"{error}. The student is in {folder}: run `hf upload`, or export it again"
        ) from error
