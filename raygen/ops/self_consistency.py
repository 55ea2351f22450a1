"""The `self_consistency` op: does the teacher, unaware of the answer, reach it often enough?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from raygen.core import Reject, Row, Task, template_fields
from raygen.core.answers import read_answer, read_free_answer
from raygen.engines import Api, Completion
from raygen.ops.base import Columns, Context, Op
from raygen.ops.common.checking import FreeHow, classes_of, what_decides
from raygen.ops.common.completions import completion_reject, gold_answer, was_cut_off
from raygen.ops.common.options import fields_of, require_options
from raygen.ops.common.prediction import HIDDEN
from raygen.ops.common.request_params import MAX_SAMPLES, SamplingParams

_ANSWER_COLUMNS = HIDDEN | {"fills", "refuted", "names_answer", "agreement", "votes"}
"""Columns that tell the answer, or what it was before; no prompt of this op may read them."""


class SelfConsistencyParams(SamplingParams):
    """Keeps a row when enough reasoning paths reach its answer without being shown it.

    The engine samples `samples` paths for the question (or text) and its options; the option that
    each settles on is a vote. A path whose answer can't be read as exactly one option, or is read
    with less than `min_confidence`, is no vote but counts among all the paths: the agreement is
    the share of all of them that reach the winner. For a counterfactual row the answer is its
    target; other rows are held to their gold answer. Without options (free text) each answer is a
    vote, and equal answers, whatever their notation, are one: by the checker `how`. With `original:
    required` the paths for the old text (`original`) must settle on the old answer first: where a
    teacher gets that wrong, its reaching the new one means nothing.

    Emits the row with `agreement` (the winner's share, 0 to 1), `votes` (counts: the votes of each
    option; unread: the paths that are none; in free text also forms: how each was written) and
    `unread`. Rejects a row whose old text leads to another answer than the old one
    (`teacher_disagrees`), of which no path could be read (`unreadable`), two options have most
    votes (`tie`), another option than the row's has (`other_answer`), or the row's has, with a
    share below `threshold` (`low_agreement`).

    Papers: self-consistency, arXiv 2203.11171; counterfactual distillation with multi-view chain
    of thought, EMNLP 2024 main 333.
    """

    chat_defaults: ClassVar[Mapping[str, Any]] = {"stop": (), "max_tokens": 768}

    n: int = Field(
        5, alias="samples", ge=1, le=MAX_SAMPLES, description="reasoning paths, in one request"
    )
    temperature: float | None = Field(0.7, ge=0, le=2)
    max_tokens: int = Field(160, ge=1)
    stop: tuple[str, ...] = Field(("\nQ:", "\n\n"), description="texts that end a completion")
    threshold: float = Field(
        0.6, gt=0, le=1, description="least share of all paths that reach the row's answer"
    )
    min_confidence: float = Field(
        0.5,
        ge=0,
        le=1,
        description="how surely an answer must be read to be a vote: 0.7 for announced ones, 0.5 "
        "also for the only letter named, 0.3 also for the only option named",
    )
    prompt: str | None = Field(None, description="a template in place of the default prompt")
    how: FreeHow | None = Field(
        None,
        exclude_if=lambda how: how is None,  # so that a plan without it keeps its hash
        description="free text: the checker that says which answers are equal; absent: math",
    )
    original: Literal["required", "ignored"] = Field(
        "ignored",
        exclude_if=lambda original: original == "ignored",
        description="whether the teacher must reach the old answer on the old text too, where a "
        "row has one; required from version 2 of recipes on, ignored before",
    )

    @classmethod
    def with_api_defaults(
        cls, written: Mapping[str, Any], api_of: Callable[[str | None], Api]
    ) -> Mapping[str, Any]:
        return {"original": "required", **super().with_api_defaults(written, api_of)}


def _default(task: Task) -> str:
    return "self_consistency" + "_free_text" * (task.name == "free_text")


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of the paths by option, and how many paths there are in all."""

    by_option: Counter[int]
    paths: int

    @property
    def unread(self) -> int:
        """How many paths have no readable answer."""
        return self.paths - self.by_option.total()

    @property
    def winners(self) -> list[int]:
        """The options with most votes."""
        highest = max(self.by_option.values(), default=0)
        return sorted(option for option, votes in self.by_option.items() if votes == highest)

    def share(self, option: int) -> float:
        """Return the share of all paths that reach an option."""
        return self.by_option[option] / max(1, self.paths)

    def words(self, options: Sequence[str]) -> str:
        """Write the votes for people."""
        counts = [f"{options[option]!r} {votes}" for option, votes in self.by_option.most_common()]
        return ", ".join([*counts, f"unread {self.unread}"]) + f" of {self.paths}"


@dataclass(frozen=True, slots=True)
class _Ballot:
    """What can be voted for, the vote of each path, and which of them is the row's answer."""

    options: Sequence[str]
    votes: Sequence[int | None]
    gold: int
    forms: Sequence[Sequence[str]] = ()

    @property
    def result(self) -> Votes:
        """The votes, counted."""
        return Votes(Counter(vote for vote in self.votes if vote is not None), len(self.votes))


async def run(row: Row, params: SelfConsistencyParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row with its votes, or its reject."""
    if params.original == "required" and row.data.get("original") is not None:
        old = {**row.data, ctx.task.stem: row.data["original"]}
        once = ctx.once()
        ballot = await _ballot(old, row.data["original_answer"], params, once, once.seed(1))
        if ballot.result.winners != [ballot.gold]:
            words = ballot.result.words(ballot.options)
            detail = f"original: not {ballot.options[ballot.gold]!r}: {words}"
            return [Reject("teacher_disagrees", detail)]
    ballot = await _ballot(row.data, gold_answer(row.data, ctx.task), params, ctx, ctx.seed())
    votes, options = ballot.result, ballot.options
    reject = _reject(votes, ballot.gold, params.threshold, options)
    if reject is not None:
        return [reject]
    counts = {option: votes.by_option[k] for k, option in enumerate(options)}
    forms = dict(zip(options, map(list, ballot.forms), strict=False))
    new = {
        "agreement": votes.share(votes.winners[0]),
        "votes": {"counts": counts, "unread": votes.unread, **({"forms": forms} if forms else {})},
        "unread": votes.unread,
    }
    return [row.child(ctx.node, 0, new)]


async def _ballot(
    data: Mapping[str, Any],
    gold: int | str,
    params: SelfConsistencyParams,
    ctx: Context,
    seed: int,
) -> _Ballot:
    """Let each path vote; in free text each class of equal answers is an option."""
    visible = {
        name: value
        for name, value in fields_of(data, ctx.task).items()
        if name not in _ANSWER_COLUMNS
    }
    prompt = params.make_prompt(_default(ctx.task), visible)
    answers = await ctx.generate(prompt, params.sampling(seed))
    if ctx.task.name != "free_text":
        options = ctx.task.options(data)
        return _Ballot(options, [_vote(answer, options, params) for answer in answers], int(gold))
    gold = str(gold)
    how = params.how or "math"
    read = [_free_vote(answer, params) for answer in answers]
    classes = await classes_of(read, ctx, how)
    members = list(dict.fromkeys(each.members for each in classes.values()))
    options = [forms[0] for forms in members]
    right = [(await ctx.check(option, gold, how)).correct for option in options]
    if True not in right:
        options, right = [*options, gold], [*right, True]
    free = [members.index(classes[k].members) if k in classes else None for k in range(len(read))]
    return _Ballot(options, free, right.index(True), members)


def _free_vote(answer: Completion, params: SelfConsistencyParams) -> str | None:
    if completion_reject(answer, cut_off_counts=False) is not None:
        return None
    cut_off = was_cut_off(answer) and params.rejects_cut_off
    read = read_free_answer(answer.text, cut_off=cut_off)
    return read.text if read.confidence >= params.min_confidence else None


def _vote(answer: Completion, options: Sequence[str], params: SelfConsistencyParams) -> int | None:
    if completion_reject(answer, cut_off_counts=False) is not None:
        return None
    cut_off = was_cut_off(answer) and params.rejects_cut_off
    read = read_answer(answer.text, options, cut_off=cut_off)
    return read.option if read.confidence >= params.min_confidence else None


def _reject(votes: Votes, gold: int, threshold: float, options: Sequence[str]) -> Reject | None:
    """Return the reject if the vote doesn't bear the row's answer out, else None."""
    votes_text = votes.words(options)
    if not votes.by_option:
        return Reject("unreadable", f"no path names exactly one option, of {votes.paths}")
    if len(votes.winners) > 1:
        return Reject("tie", votes_text)
    if votes.winners != [gold]:
        return Reject("other_answer", f"not {options[gold]!r}: {votes_text}")
    if votes.share(gold) < threshold:
        return Reject(
            "low_agreement", f"{votes.share(gold):.0%} for {options[gold]!r}: {votes_text}"
        )
    return None


def columns(params: SelfConsistencyParams, task: Task) -> Columns:
    """Declare that it reads the question and its options, and hide what tells the answer."""
    if task.name != "free_text":
        require_options(task, "self_consistency")
        if params.how is not None:
            raise ValueError("how is for free text; here the answers are options, which need none")
    if params.keeps_thoughts:
        raise ValueError(
            "thinking: column needs one answer per row, but self_consistency makes one row of all "
            "its paths; leave `thinking` out (the transcripts have the thoughts)"
        )
    asks_twice = params.original == "required"
    templates = params.prompt_templates(_default(task))
    if any("original" in template_fields(text) for text in templates.values()):
        raise ValueError(
            "a prompt reads 'original', which would tell the teacher what was edited; take it out "
            "of the template: `stem` is the old text when that is asked"
        )
    return Columns(
        requires=frozenset({*task.columns, *({"answer"} if task.name == "free_text" else ())}),
        optional=frozenset({"original", "original_answer"} if asks_twice else ()),
        provides={"agreement": "number", "votes": "json", "unread": "integer"},
        # With the old text asked too, one of its two prompts is about that.
        hides=_ANSWER_COLUMNS - ({"original"} if asks_twice else set()),
        given=frozenset({"stem", "options"}),
        templates=templates,
        environment=what_decides((params.how or "math",) if task.name == "free_text" else ()),
        cost=params.cost(1 + asks_twice, rows=1.0),
    )


OP = Op(
    "self_consistency",
    2,
    SelfConsistencyParams,
    run,
    columns,
    needs_engine=True,
    paper="arXiv 2203.11171",
)
