"""Push a folder to the Hugging Face hub in one commit.

Knows the hub's client, whose own the token is (`hf auth login`, HF_TOKEN); nothing of what is in
the folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from raygen.core.errors import UserError, first_line


class HubError(UserError):
    """The hub refuses or can't be reached; str() says what was attempted, and why it failed."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository `owner/name` of the hub, at a branch."""

    name: str
    kind: Literal["model", "dataset"]
    branch: str | None = None

    def make(self, private: bool) -> bool:
        """Create the repository unless it exists; returns whether it is public. Raises HubError."""
        from huggingface_hub import HfApi

        api = HfApi()
        with hub_errors(f"push to {self.name}"):
            api.create_repo(self.name, repo_type=self.kind, private=private, exist_ok=True)
            return api.repo_info(self.name, repo_type=self.kind).private is False

    def files(self) -> list[str]:
        """List the paths of its files; none where there is no repository. Raises HubError."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import RepositoryNotFoundError

        with hub_errors(f"look into {self.name}"):
            try:
                return HfApi().list_repo_files(self.name, repo_type=self.kind, revision=self.branch)
            except RepositoryNotFoundError:
                return []

    def upload(self, folder: Path, message: str, replaced: str | None = None) -> str:
        """Commit a folder's files and return the commit's URL.

        The same commit deletes files that match the pattern `replaced`. Raises HubError.
        """
        from huggingface_hub import HfApi

        with hub_errors(f"push to {self.name}"):
            done = HfApi().upload_folder(
                repo_id=self.name,
                repo_type=self.kind,
                revision=self.branch,
                folder_path=folder,
                commit_message=message,
                delete_patterns=replaced,
            )
        return str(done.commit_url)


@contextmanager
def hub_errors(doing: str) -> Iterator[None]:
    """Turn what the hub's client raises into a HubError, whose message says "can't `doing`"."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.errors import LocalTokenNotFoundError as NoTokenError

    try:
        yield
    except HFValidationError as error:
        raise HubError(f"can't {doing}: {error}; expected OWNER/NAME") from error
    except (network_error(), NoTokenError, OSError) as error:
        first = first_line(error)
        raise HubError(f"can't {doing}: {first}; `hf auth login` logs you in", 1) from error


def network_error() -> type[Exception]:
    """Return the base class of errors that the hub's client raises for a failing network.

    It is the HTTP library's own and no OSError; which library that is depends on the client's
    version.
    """
    from huggingface_hub.errors import HfHubHTTPError

    bases = HfHubHTTPError.__bases__
    return next(b for b in bases if issubclass(b, Exception) and not issubclass(b, OSError))
