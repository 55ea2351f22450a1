"""The tokenizer of a model folder: counts, places, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raygen.engines.base import EngineSetupError
from raygen.engines.models import tokenizer
from raygen.engines.models.tokenizer import load_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A word tokenizer that puts a token before every prompt and says that it pads."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"<s>": 0, "?": 1, "snow": 2, "falls": 3}
    fast = Tokenizer(models.WordLevel(words, unk_token="?"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    fast.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    fast.enable_padding(length=9)
    fast.enable_truncation(2)
    fast.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_it_counts_and_places_every_token(folder: Path) -> None:
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.encode("snow falls here") == [2, 3, 1]
    assert tokenizer.offsets("snow falls") == [(0, 4), (5, 10)]
    assert tokenizer.count("snow falls") == 3


def test_a_folder_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(EngineSetupError, match=r"has no tokenizer\.json"):
        load_tokenizer(str(tmp_path))


def test_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": 3}))
    with pytest.raises(EngineSetupError, match="is no tokenizer"):
        load_tokenizer(str(tmp_path))


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "_reachable", lambda endpoint: False)
    with pytest.raises(EngineSetupError, match="can't be reached"):
        load_tokenizer("nobody/no-such-model")


def test_an_address_where_nobody_listens_is_not_reachable() -> None:
    assert not tokenizer._reachable("http://127.0.0.1:9")


def test_a_hub_that_fails_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", fail)
    with pytest.raises(EngineSetupError, match=r"no tokenizer\.json to be had: OSError"):
        load_tokenizer("nobody/silent")
