"""An exported student on the Hugging Face hub.

Knows the hub's client; nothing of how a student was made or exported.
"""

from __future__ import annotations

import json
from pathlib import Path

from streamtrain.errors import InputError


def check_pushable(folder: Path) -> None:
    """Raises InputError where others couldn't load what is in the folder: an adapter whose base
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


def push(folder: Path, repository: str, private: bool) -> str:
    """Upload a folder to a model repository `owner/name`, made where there is none; returns the
    address of the commit. The token is the hub client's own (`hf auth login`, HF_TOKEN).

    Raises InputError where the hub refuses or can't be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    from huggingface_hub.errors import LocalTokenNotFoundError as NoTokenError

    api = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="A student of streamtrain"
        )
    except HFValidationError as error:
        raise InputError(f"--push {repository}: {error}; expected OWNER/NAME") from error
    except (HfHubHTTPError, NoTokenError, OfflineModeIsEnabled, OSError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"can't push to {repository}: {first}; the student is in {folder}, log in with "
            "`hf auth login` and run `hf upload`, or export it again"
        ) from error
    return str(done.commit_url)
