"""The order of rows that a student's file asks for.

Knows nothing of datasets or training.
"""

from __future__ import annotations

from streamtrain.config import StudentConfig
from streamtrain.data.epoch_units import PAIR, Unit
from streamtrain.data.stream import StreamOrder

REUSE = 4
"""Uses of a row before the dataset has ended, where the file says neither how often nor epochs."""


def make_order(config: StudentConfig) -> StreamOrder:
    """The order of the rows that a student is trained on."""
    data, stream = config.data, config.stream
    unit: Unit = "row"
    if data.pairs:
        unit = "pair"
    elif data.rationales.per_question == "one":
        unit = "question"
    rows = len(PAIR) if data.pairs else 1
    return StreamOrder(
        config.optim.batch // rows,
        max(1, stream.shuffle // rows),
        stream.seed,
        config.epochs,
        (stream.reuse or config.epochs or REUSE) if stream.starved == "replay" else 1,
        unit,
    )
