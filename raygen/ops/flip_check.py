"""The `flip_check` op: does a counterfactual really flip the teacher's own prediction?"""

from __future__ import annotations

from collections.abc import Sequence

from raygen.core import Reject, Row, Task
from raygen.ops.base import Columns, Context, Op
from raygen.ops.common.prediction import (
    HIDDEN,
    PREDICTION_FIELDS,
    PredictionParams,
    predict_options,
)


class FlipCheckParams(PredictionParams):
    """Keeps a counterfactual whose target the teacher itself predicts.

    The teacher predicts twice, without being told any answer: on the original text and on the
    edited one. The old label is its prediction on the original. See `by` for where the
    probabilities come from: `score` (the options' log-probabilities; letters summed, texts as the
    mean per token), `classify` (a classifier's), `vote` (shares of sampled answers).

    Emits the row with `probabilities` and `original_probabilities` ({option: probability}).
    Rejects with `teacher_disagrees` (its prediction on the original is not the original's gold
    answer), `not_flipped` (its prediction on the edit is still the old one), `wrong_target` (it is
    a third one), `no_prediction` (two options are level, or no answer of a vote could be read).

    Paper: few-shot distillation with counterfactual explanations (CoD), arXiv 2510.21631.
    """


async def run(row: Row, params: FlipCheckParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row with its probabilities, or its reject."""
    options = ctx.task.options(row.data)
    # A vote has seeds, and those of a completion stay what they were in version 1 of recipes.
    once = ctx if params.by == "vote" and not params.asks_chat else ctx.once()
    before = await predict_options(row.data, row.data["original"], params, once)
    old = before.option
    if old is None:
        return [Reject("no_prediction", f"original: {before.words()}")]
    if old != row.data["original_answer"]:
        gold = options[row.data["original_answer"]]
        return [Reject("teacher_disagrees", f"original: {before.words()}, but gold is {gold!r}")]
    after = await predict_options(row.data, row.data[ctx.task.stem], params, ctx)
    if after.option is None:
        return [Reject("no_prediction", f"edit: {after.words()}")]
    if after.option != row.data["target"]:
        reason = "not_flipped" if after.option == old else "wrong_target"
        target = options[row.data["target"]]
        return [Reject(reason, f"edit: {after.words()}, but the target is {target!r}")]
    probabilities = {
        "probabilities": after.by_option,
        "original_probabilities": before.by_option,
    }
    return [row.child(ctx.node, 0, probabilities)]


def columns(params: FlipCheckParams, task: Task) -> Columns:
    """Declare that it needs a counterfactual, and hide what would tell the teacher its answer."""
    params.check(task, "flip_check")
    if "original" in params.reads(task):
        raise ValueError(
            "prompt reads 'original', which would tell the teacher what was edited; take it out "
            "of the template: `stem` is the original's text when that is predicted"
        )
    return Columns(
        requires=frozenset({*task.columns, "original", "original_answer", "target"}),
        provides={"probabilities": "json", "original_probabilities": "json"},
        hides=HIDDEN - {"original"},  # one of its two prompts is about that text
        given=PREDICTION_FIELDS,
        templates=params.templates(task),
        abilities={"engine": params.ability},
        cost=params.prediction_cost(task, 2),
    )


OP = Op(
    "flip_check",
    2,
    FlipCheckParams,
    run,
    columns,
    needs_engine=True,
    paper="arXiv 2510.21631",
)
