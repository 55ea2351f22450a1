"""A student's tuned lens: tuned once, kept beside the student, and loaded from there.

Knows nothing of the questions under the lens, except that they are none of the texts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from raygen.core import DamagedFileError, digest, read_json_object
from raygen.dataset import NEW
from streamtrain.errors import InputError
from streamtrain.evaluation import evaluations_folder
from streamtrain.heldout import Question
from streamtrain.lens.passages import lens_texts
from streamtrain.lens.student import LensStudent
from streamtrain.lens.translators import LayerTranslators, layer_divergences, tune_translators
from streamtrain.run import check_output, refuse_links

LENS = "lens"
FORMAT_VERSION = 2

_WEIGHTS = "translators.safetensors"
_FACTS = "lens.json"


class _Facts(BaseModel):
    learned: int
    held: int
    logit: list[float]
    tuned: list[float]


@dataclass(frozen=True, slots=True)
class TuningOptions:
    """How a lens is tuned: in so many steps, on the questions of `texts`, by default on the
    student's dataset."""

    steps: int
    texts: Path | None = None


@dataclass(frozen=True, slots=True)
class TunedLens:
    """A tuned lens in its folder. `logit` and `tuned` are, by layer, the divergence of both lenses
    from the student's output, on `held` texts that it was not tuned on."""

    translators: LayerTranslators
    folder: Path
    learned: int
    held: int
    logit: tuple[float, ...]
    tuned: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data, without the weights."""
        return {
            "folder": str(self.folder),
            "learned": self.learned,
            "held": self.held,
            "logit": list(self.logit),
            "tuned": list(self.tuned),
        }


def tuned_lens(
    lens_student: LensStudent, looked_at: Sequence[Question], tuning: TuningOptions
) -> TunedLens:
    """Load the student's lens with this tuning, or tune and keep one.

    Raises InputError if there are no texts, or the kept lens can't be read.
    """
    texts = lens_texts(lens_student, looked_at, tuning.texts)
    name = digest("lens", FORMAT_VERSION, tuning.steps, _fingerprint(lens_student), texts.hash)
    folder = evaluations_folder(lens_student.folder).parent / LENS / name[:16]
    if (folder / _FACTS).exists():
        return _read(folder, lens_student)
    check_output(folder, NEW, "by --steps or --texts")
    refuse_links(folder.parents[1], "give another run")
    translators = tune_translators(lens_student.reader, texts.learned, tuning.steps)
    logit = layer_divergences(lens_student.reader, texts.held, None)
    better = layer_divergences(lens_student.reader, texts.held, translators)
    lens = TunedLens(
        translators, folder, len(texts.learned), len(texts.held), tuple(logit), tuple(better)
    )
    _write(lens, tuning, texts.hash)
    return lens


def _fingerprint(lens_student: LensStudent) -> str:
    """Hash the student's weights in its folder, and the name of its base model."""
    fingerprint = hashlib.blake2b(digest_size=16)
    for file in sorted(lens_student.folder.glob("*.safetensors")):
        with file.open("rb") as data:
            fingerprint.update(hashlib.file_digest(data, "blake2b").digest())
    return digest(lens_student.config.model, lens_student.config.revision, fingerprint.hexdigest())


def _write(lens: TunedLens, tuning: TuningOptions, texts: str) -> None:
    lens.folder.parent.mkdir(parents=True, exist_ok=True)
    parts = {"matrix": lens.translators.matrix, "bias": lens.translators.bias}
    facts = {
        "version": FORMAT_VERSION,
        "steps": tuning.steps,
        "texts": texts,
        "learned": lens.learned,
        "held": lens.held,
        "logit": lens.logit,
        "tuned": lens.tuned,
    }
    with TemporaryDirectory(dir=lens.folder.parent, prefix=f".{lens.folder.name}-") as temporary:
        draft = Path(temporary) / lens.folder.name
        draft.mkdir()
        weights = {name: part.cpu().contiguous() for name, part in parts.items()}
        save_file(weights, draft / _WEIGHTS)
        (draft / _FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        draft.rename(lens.folder)


def _read(folder: Path, lens_student: LensStudent) -> TunedLens:
    device = str(lens_student.student.device)
    try:
        facts = read_json_object(folder / _FACTS, "the figures of a tuned lens", _Facts)
        parts = load_file(folder / _WEIGHTS, device=device)
        return TunedLens(
            LayerTranslators(parts["matrix"], parts["bias"]),
            folder,
            facts["learned"],
            facts["held"],
            tuple(facts["logit"]),
            tuple(facts["tuned"]),
        )
    except (OSError, KeyError, DamagedFileError, SafetensorError) as error:
        raise InputError(f"{folder} can't be read: {error}; remove it to tune anew") from error
