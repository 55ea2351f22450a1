"""Read the files of a repository on the Hugging Face hub, by huggingface_hub.

Knows the hub's ways (HF_ENDPOINT, HF_TOKEN and its cache are huggingface_hub's own); knows nothing
of recipes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Literal

from raygen.core import UserError, first_line, network_error
from raygen.core.access import Anonymous
from raygen.recipe.remote.gather import MOST_BYTES, MOST_LISTED, check_listed, too_large

_TYPES = {"datasets": "dataset", "spaces": "space"}


class HubFiles:
    """The files of a repository, `datasets/owner/name` or a model's `owner/name`, at a commit."""

    def __init__(self, location: str, commit: str, access: Anonymous | None = None) -> None:
        """Open a repository; `access` None reads it as the user."""
        self._type, self._name = _repository(location)
        self._location = location
        self._commit = commit
        self._token = _token(access)

    def read(self, path: str) -> bytes | None:
        """Read a file; None where there is no such file. Raises UserError."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
        from huggingface_hub.errors import EntryNotFoundError

        with _hub_errors(f"hf://{self._location}/{path}"):
            try:
                kind, commit = self._type, self._commit
                url = hf_hub_url(self._name, path, repo_type=kind, revision=commit)
                known = get_hf_file_metadata(url, token=self._token)
                if known.size is not None and known.size > MOST_BYTES:
                    raise too_large(path)
                file = hf_hub_download(
                    self._name, path, repo_type=kind, revision=commit, token=self._token
                )
                return Path(file).read_bytes()
            except EntryNotFoundError:
                return None

    def names(self) -> list[str]:
        """List the paths of the repository's files. Raises UserError."""
        from huggingface_hub import HfApi
        from huggingface_hub.hf_api import RepoFile

        with _hub_errors(f"hf://{self._location}"):
            listed = HfApi(token=self._token).list_repo_tree(
                self._name, recursive=True, repo_type=self._type, revision=self._commit
            )
            entries = list(islice(listed, MOST_LISTED + 1))
        check_listed(f"hf://{self._location}", len(entries))
        return [entry.path for entry in entries if isinstance(entry, RepoFile)]


def commit_of(location: str, rev: str | None, access: Anonymous | None = None) -> str:
    """Find the commit that a revision of a repository is now. Raises UserError."""
    from huggingface_hub import HfApi

    kind, name = _repository(location)
    with _hub_errors(f"hf://{location}" + (f"@{rev}" if rev else "")):
        commit = HfApi(token=_token(access)).repo_info(name, repo_type=kind, revision=rev).sha
    if not commit:
        raise UserError(f"hf://{location}: the hub doesn't say which commit {rev or 'main'} is", 1)
    return commit


def _token(access: Anonymous | None) -> Literal[False] | None:
    return False if access is not None else None


def _repository(location: str) -> tuple[str | None, str]:
    kind, _, name = location.partition("/")
    return (_TYPES[kind], name) if kind in _TYPES else (None, location)


@contextmanager
def _hub_errors(what: str) -> Iterator[None]:
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except LocalEntryNotFoundError as error:
        raise UserError(f"{what} can't be fetched: the hub can't be reached", 1) from error
    except EntryNotFoundError:
        raise
    except RevisionNotFoundError as error:
        raise UserError(f"{what}: there is no such revision; correct it") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"{what}: there is no such repository, or it is private; correct the name, or log in "
            "(`hf auth login`)"
        ) from error
    except (network_error(), OSError) as error:
        first = first_line(error)
        raise UserError(f"{what} can't be fetched: {first}; check the network", 1) from error
