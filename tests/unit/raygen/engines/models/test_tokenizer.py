"""The tokenizer of a model folder: counts, places, and what is said where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Fast

from raygen.core.limited import Limits
from raygen.engines.base import EngineSetupError, RequestRefusedError
from raygen.engines.models import tokenizer
from raygen.engines.models.prompt_tokens import PromptTokenizer
from raygen.engines.models.tokenizer import LimitedTokenCounter, TokenizerError, load_tokenizer
from streamtrain.data.tokenization import ExampleTokenizer, LengthLimits
from streamtrain.errors import InputError


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


ENDLESS = r"(a+)+$"
TEXT = "a" * 60 + "!"


@pytest.fixture
def endless(folder: Path) -> Path:
    """A tokenizer whose pattern takes exponential time with some texts."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    split = {"type": "Split", "pattern": {"Regex": ENDLESS}, "behavior": "Isolated"}
    content["pre_tokenizer"] = {**split, "invert": False}
    file.write_text(json.dumps(content))
    return folder


def test_a_pattern_without_an_end_is_an_error(endless: Path) -> None:
    tokenizer = load_tokenizer(str(endless))
    assert tokenizer.encode("snow") == [2]
    for method in (tokenizer.encode, tokenizer.offsets):
        with pytest.raises(TokenizerError, match="take too long with a text"):
            method(TEXT)


def test_the_same_of_a_normalizer(endless: Path) -> None:
    content = json.loads((endless / "tokenizer.json").read_text())
    replace = {"type": "Replace", "pattern": {"Regex": ENDLESS}, "content": "b"}
    (endless / "tokenizer.json").write_text(json.dumps({**content, "normalizer": replace}))
    with pytest.raises(TokenizerError, match="take too long"):
        load_tokenizer(str(endless)).encode(TEXT)


def test_an_engines_prompt_fails_alone(endless: Path) -> None:
    tokenizer = PromptTokenizer("t", "m", Fast.from_file(str(endless / "tokenizer.json")), None)
    with pytest.raises(RequestRefusedError, match="take too long"):
        tokenizer._encode(TEXT, False)


def test_an_example_to_train_on_is_one_error(endless: Path) -> None:
    fast = Fast.from_file(str(endless / "tokenizer.json"))

    def tokenizer(text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": fast.encode(text).ids}

    example_tokenizer = ExampleTokenizer(tokenizer, LengthLimits(9, 9), {})
    with pytest.raises(InputError, match=r"the student's tokenizer: .* take too long"):
        example_tokenizer.prompt(TEXT)


def test_tokens_are_counted_in_a_process_with_limits(endless: Path) -> None:
    with LimitedTokenCounter(str(endless)) as counter:
        assert counter.count("snow") == 2
        with pytest.raises(TokenizerError, match="take too long with a text"):
            counter.count(TEXT)


def test_a_count_that_takes_too_long_is_stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "_COUNTING", Limits(memory=48 << 20, cpu_s=5, wall_s=30))
    words = {f"{number:0500}": number for number in range(40_000)}
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] = {**words, "?": 40_000, "<s>": 40_001}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(EngineSetupError, match="was stopped"):
        LimitedTokenCounter(str(folder))


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "\0" * 100, ""])
def test_deep_and_damaged_files(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(EngineSetupError, match="is no tokenizer"):
        load_tokenizer(str(tmp_path))
