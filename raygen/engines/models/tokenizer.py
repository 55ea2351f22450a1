"""A model's tokenizer without its weights: how many tokens a text has, and their offsets.

Reads the model's `tokenizer.json`; imports neither torch nor transformers. Knows nothing of
engines.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import Request, urlopen

from raygen.core import digest, first_line
from raygen.engines.base import EngineSetupError
from raygen.engines.models.bundled import model_path

if TYPE_CHECKING:
    from tokenizers import Tokenizer as _Fast

_FILE = "tokenizer.json"
_MOST_BYTES = 2**28
_REACH_S = 3


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """The tokenizer of one model; `content` is a hash of its file."""

    fast: _Fast
    content: str

    def encode(self, text: str) -> list[int]:
        """Return the ids of the text's tokens, without special tokens around it."""
        ids: list[int] = self.fast.encode(text, add_special_tokens=False).ids
        return ids

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the start and end of each token in the text, in characters."""
        offsets: list[tuple[int, int]] = self.fast.encode(text, add_special_tokens=False).offsets
        return offsets

    def count(self, text: str) -> int:
        """Count the tokens that a model sees if this text is its prompt."""
        return len(self.fast.encode(text).ids)


@lru_cache(maxsize=16)
def load_tokenizer(model: str, revision: str | None = None) -> Tokenizer:
    """Load the tokenizer of a folder, a bundled model, or a hub model (its cache comes first).

    Raises EngineSetupError if it can't be had, within seconds if the hub can't be reached.
    """
    from tokenizers import Tokenizer as Fast

    path = _find(model_path(model), revision)
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        fast = Fast.from_buffer(data)
    except Exception as error:  # tokenizers raises no other kind
        raise EngineSetupError(f"model {model!r}: {path} is no tokenizer: {error}") from error
    fast.no_truncation()
    fast.no_padding()
    return Tokenizer(fast, digest("tokenizer", hashlib.sha256(data).hexdigest()))


def _find(model: str, revision: str | None) -> Path:
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / _FILE).is_file():
            raise EngineSetupError(f"model {model!r}: the folder has no {_FILE}")
        return folder / _FILE
    return _from_hub(model, revision)


def _from_hub(model: str, revision: str | None) -> Path:
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        cached = try_to_load_from_cache(model, _FILE, revision=revision)
        if isinstance(cached, str):
            return Path(cached)
        # The hub's own client asks an unreachable hub again and again for half a minute.
        if constants.HF_HUB_OFFLINE or not _reachable(constants.ENDPOINT):
            raise EngineSetupError(
                f"model {model!r}: its {_FILE} is not in {constants.HF_HUB_CACHE}, and "
                f"{constants.ENDPOINT} can't be reached"
            )
        return Path(hf_hub_download(model, _FILE, revision=revision))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        first = first_line(error)
        raise EngineSetupError(f"model {model!r}: no {_FILE} to be had: {first}") from error


def _reachable(endpoint: str) -> bool:
    request = Request(endpoint, method="HEAD")  # noqa: S310 - the hub's address, from its client
    try:
        with urlopen(request, timeout=_REACH_S):  # noqa: S310
            return True
    except (URLError, OSError):
        return False
