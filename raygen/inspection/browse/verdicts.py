"""Draw a sample for people to judge, and keep each rater's verdicts in a file in `verdicts/`.

The same seed gives the same sample, and a larger sample has the smaller in it. Knows nothing of
how raters are prompted, or of what is computed from their verdicts.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from raygen.core import DamagedFileError, UserError, digest, parse_json_object
from raygen.dataset import DatasetError, Folder, storage_errors
from raygen.inspection.browse.item import ItemRef

VERDICTS_VERSION = 1
"""The version of a rater's file under `verdicts/`."""

VERDICTS = "verdicts"

Word = Literal["keep", "fix", "drop"]
"""What a rater says: keep it as it is, keep it once it is edited, or drop it."""

_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rater's verdict on an item.

    `item` is the item's id, `plan` the hash of the plan that it is of. `node` and `reason` are the
    item's fate in that plan; `reason` is None for an example.
    """

    item: str
    plan: str
    key: str
    node: str
    reason: str | None
    verdict: Word
    note: str = ""

    @classmethod
    def on(cls, ref: ItemRef, plan: str, verdict: Word, note: str) -> Verdict:
        """Make a verdict on an item."""
        return cls(ref.id, plan, ref.key, ref.node, ref.reason, verdict, note)


def read_verdicts(folder: Folder) -> dict[str, list[Verdict]]:
    """Read all verdicts by rater, in the order in which they were made. Raises DatasetError."""
    with storage_errors("read the verdicts", folder.join(VERDICTS)):
        texts = {
            path: folder.read_text(path)
            for path in folder.files(VERDICTS)
            if path.endswith(".json") and not path.startswith(f"{VERDICTS}/.")
        }
    return dict(_parsed(folder.join(path), text) for path, text in texts.items())


def write_verdicts(folder: Folder, rater: str, verdicts: Mapping[str, Verdict]) -> None:
    """Replace a rater's file by these verdicts, atomically. Raises DatasetError."""
    written = {
        "version": VERDICTS_VERSION,
        "rater": rater,
        "verdicts": [asdict(verdict) for verdict in verdicts.values()],
    }
    text = json.dumps(written, indent=1, ensure_ascii=False)
    with storage_errors("write the verdicts", folder.join(VERDICTS)):
        folder.write_text(f"{VERDICTS}/{rater}.json", text + "\n")


def check_rater(name: str) -> None:
    """Check a rater's name. Raises UserError where it can't be a file's name."""
    if not _NAME.fullmatch(name):
        raise UserError(f"--rater {name!r}: expected letters, digits, `-`, `_` and `.` alone")


def _parsed(where: str, text: str) -> tuple[str, list[Verdict]]:
    try:
        written = parse_json_object(text, where, "verdicts as `raygen show --sample` writes them")
        if written["version"] != VERDICTS_VERSION:
            raise DatasetError(
                f"{where} is of version {written['version']}, and this raygen reads version "
                f"{VERDICTS_VERSION}; use the raygen that wrote it",
                exit_code=2,
            )
        verdicts = [Verdict(**fields) for fields in written["verdicts"]]
        if odd := [v.verdict for v in verdicts if v.verdict not in get_args(Word)]:
            raise ValueError(f"verdict {odd[0]!r}")
        return str(written["rater"]), verdicts
    except (DamagedFileError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{where} can't be read: {error}; expected verdicts as `raygen show --sample` "
            "writes them. Mend the file, or move it away",
            exit_code=2,
        ) from error


def draw_sample(
    refs: Sequence[ItemRef], size: int, seed: int, fits: Callable[[ItemRef], bool] = lambda _: True
) -> list[ItemRef]:
    """Draw a stratified sample of items, in an order that doesn't reveal their fate.

    Examples and the rejects of each node are strata of equal size; the rest of a stratum with too
    few items is shared among the others. Within a stratum items are equally likely.

    Args:
        refs: The items to draw from.
        size: The most items to draw.
        seed: The same seed draws the same sample; a larger one contains the smaller.
        fits: Leaves out items for which it returns False; called only for items that are drawn.
    """
    strata: dict[str | None, list[ItemRef]] = defaultdict(list)
    for ref in sorted(refs, key=lambda ref: digest("sample", seed, ref.id)):
        strata[stratum(ref)].append(ref)
    left = {name: _fitting(strata[name], fits) for name in sorted(strata, key=str)}
    drawn: list[ItemRef] = []
    while left and len(drawn) < size:
        for name, items in list(left.items()):
            following = next(items, None)
            if following is None:
                del left[name]
            elif len(drawn) < size:
                drawn.append(following)
    return sorted(drawn, key=lambda ref: digest("order", seed, ref.id))


def stratum(ref: ItemRef) -> str | None:
    """Name the stratum of an item: the node that dropped it, None for an example."""
    return None if ref.kept else ref.node


def _fitting(refs: Sequence[ItemRef], fits: Callable[[ItemRef], bool]) -> Iterator[ItemRef]:
    return (ref for ref in refs if fits(ref))
