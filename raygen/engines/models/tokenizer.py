"""A model's tokenizer without its weights: how many tokens a text has, and their offsets.

Reads the model's `tokenizer.json`; imports neither torch nor transformers. Knows nothing of
engines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.error import URLError
from urllib.request import Request, urlopen

from raygen.core import digest, expand_home, first_line
from raygen.core.limited import LimitedProcess, LimitError, Limits
from raygen.engines.base import EngineSetupError
from raygen.engines.models.bundled import model_path

if TYPE_CHECKING:
    from tokenizers import Tokenizer as _Fast

_FILE = "tokenizer.json"
_MOST_BYTES = 2**28
_REACH_S = 3
_COUNTING = Limits(memory=2 << 30, cpu_s=20, wall_s=60)


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """The tokenizer of one model; `content` is a hash of its file.

    Its methods raise TokenizerError for a text that its patterns take too long with.
    """

    fast: _Fast
    content: str

    def encode(self, text: str) -> list[int]:
        """Return the ids of the text's tokens, without special tokens around it."""
        with patterns_may_give_up():
            ids: list[int] = self.fast.encode(text, add_special_tokens=False).ids
        return ids

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the start and end of each token in the text, in characters."""
        with patterns_may_give_up():
            encoding = self.fast.encode(text, add_special_tokens=False)
        offsets: list[tuple[int, int]] = encoding.offsets
        return offsets

    def count(self, text: str) -> int:
        """Count the tokens that a model sees if this text is its prompt."""
        with patterns_may_give_up():
            return len(self.fast.encode(text).ids)


class TokenizerError(EngineSetupError):
    """A tokenizer can't split a text."""


@contextmanager
def patterns_may_give_up() -> Iterator[None]:
    """Raise TokenizerError where the patterns of a tokenizer give up.

    They come with a model, so they may be anybody's. Their engine takes ten million steps for a
    match, and what tokenizers then raises is no Exception: it would end the process.
    """
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # pyo3's, which can't be imported
            raise
        raise TokenizerError(
            f"the patterns in the model's {_FILE} take too long with a text ({error}); use another "
            "model, or correct its patterns"
        ) from None


class LimitedTokenCounter:
    """Counts the tokens of prompts in a child process with limits, which reads the tokenizer too.

    A context manager: it ends the process.
    """

    def __init__(self, model: str, revision: str | None = None) -> None:
        """Find the model's tokenizer, and read it. Raises EngineSetupError."""
        self._model, self._file = model, _find(model_path(model), revision)
        self._process = LimitedProcess(f"counting tokens by {self._file}", _COUNTING)
        try:
            self.count("")
        except BaseException:
            self._process.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.close()

    def count(self, text: str) -> int:
        """Count the tokens that the model sees if this text is its prompt.

        Raises EngineSetupError, also where it takes too long.
        """
        try:
            return self._process.call(_count, self._model, self._file, text)
        except LimitError as error:
            raise EngineSetupError(str(error)) from error


def _count(model: str, file: Path, text: str) -> int:
    return _read_once(model, file).count(text)


@lru_cache(maxsize=16)
def load_tokenizer(model: str, revision: str | None = None) -> Tokenizer:
    """Load the tokenizer of a folder, a bundled model, or a hub model (its cache comes first).

    Raises EngineSetupError if it can't be had, within seconds if the hub can't be reached.
    """
    return _read(model, _find(model_path(model), revision))


@lru_cache(maxsize=16)
def local_tokenizer(model: str, revision: str | None = None) -> Tokenizer | None:
    """Load the tokenizer of a folder or of the hub's cache; None where this machine has none."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    path = Path(model).expanduser() / _FILE
    try:
        if not path.is_file():
            cached = try_to_load_from_cache(model, _FILE, revision=revision)
            if not isinstance(cached, str):
                return None
            path = Path(cached)
        return _read(model, path)
    except (HFValidationError, EngineSetupError, OSError):
        return None


def _read(model: str, path: Path) -> Tokenizer:
    from tokenizers import Tokenizer as Fast

    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        with patterns_may_give_up():
            fast = Fast.from_buffer(data)
    except MemoryError:
        raise
    except Exception as error:  # tokenizers raises this kind alone
        raise EngineSetupError(f"model {model!r}: {path} is no tokenizer: {error}") from error
    fast.no_truncation()
    fast.no_padding()
    return Tokenizer(fast, digest("tokenizer", hashlib.sha256(data).hexdigest()))


_read_once = lru_cache(maxsize=1)(_read)


def _find(model: str, revision: str | None) -> Path:
    folder = expand_home(model)
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
