"""minimal_edit: the editor, the teacher's verdict fed back, and which edit is kept."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from raygen.core.row import Row
from raygen.core.task import TASKS, Task
from raygen.engines.base import Completion, Sampling
from raygen.ops.minimal_edit import OP
from raygen.testing import FakeContext, Script, reasons, run_op

CLASSES = replace(TASKS["classification"], labels=("bad", "good"))
CHOICE = TASKS["multiple_choice"]
FILM = {"text": "A charming film with a warm heart.", "label": "good"}
FISH = {"question": "Where do fish live?", "choices": ["sky", "water", "oven"], "answer": 1}
CLASSIFY = {"predict": {"by": "classify"}}


def script(*edits: str | Completion | Sequence[str], bad: Sequence[str] = ("dull",)) -> Script:
    """One edit (or list of edits) per attempt; a text with a word of `bad` is bad."""
    left = list(edits)

    def answers(prompt: str, sampling: Sampling) -> list[str | Completion]:
        edit = left.pop(0)
        return [edit] if isinstance(edit, str | Completion) else list(edit)

    def classes(text: str) -> dict[str, float]:
        chance = 0.9 if any(word in text for word in bad) else 0.2
        return {"bad": chance, "good": 1 - chance}

    return Script(answers, classes=classes)


async def edit(
    script: Script, data: dict[str, Any] = FILM, task: Task = CLASSES, **params: Any
) -> tuple[Any, FakeContext]:
    (outcome,), context = await run_op(OP, data, script, task, **{**CLASSIFY, **params})
    return outcome, context


async def test_a_flip_becomes_a_counterfactual() -> None:
    outcome, context = await edit(script('"A dull film with a warm heart."'))
    assert isinstance(outcome, Row)
    assert outcome.data == {
        "text": "A dull film with a warm heart.",
        "label": "bad",
        "variant": "counterfactual",
        "original": FILM["text"],
        "original_answer": 1,
        "target": 0,
        "attempts": 1,
        "edit_distance": pytest.approx(1 / 8),
        "character_distance": pytest.approx(8 / 34),
        "probabilities": {"bad": 0.9, "good": pytest.approx(0.1)},
        "original_probabilities": {"bad": 0.2, "good": 0.8},
    }
    ((prompt, sampling),) = context.asked
    assert str(prompt).endswith(
        "\n\nText: A charming film with a warm heart.\nLabel: good\nChanged text, label bad:"
    )
    assert sampling.temperature == 0


async def test_a_failed_edit_is_shown_with_the_teacher_s_verdict() -> None:
    edits = script("A funny film with a warm heart.", FILM["text"], "x y z", "A dull film, warm.")
    outcome, context = await edit(edits, attempts=4, max_distance=0.7)
    assert isinstance(outcome, Row)
    assert outcome.data["attempts"] == 4
    assert str(context.asked[3][0]).split("Label: good\n")[1] == (
        "Wrong, it is still good: A funny film with a warm heart.\n"
        f"Wrong, it is the same: {FILM['text']}\n"
        "Wrong, it changes too much: x y z\n"
        "Changed text, label bad:"
    )
    assert [sampling.temperature for _, sampling in context.asked] == [0, 0.7, 0.7, 0.7]
    assert len({sampling.seed for _, sampling in context.asked}) == 4


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("A funny film with a warm heart.", "not_flipped"),
        ("a charming film, with a warm heart", "unchanged"),
        ("Nothing of it is left here.", "too_far"),
        ("", "empty"),
        ('""', "empty"),
        ("I'm sorry, but I can't assist with that request.", "refused"),
        (Completion("A dull film with", finish_reason="length"), "truncated"),
    ],
)
async def test_after_the_last_attempt_its_fault_is_the_reason(
    last: str | Completion, reason: str
) -> None:
    outcome, context = await edit(script("A funny film with a warm heart.", last), attempts=2)
    assert reasons([outcome]) == [reason]
    assert len(context.asked) == 2


async def test_what_is_cut_off_after_the_edit_leaves_it_whole() -> None:
    completion = Completion("A dull film with a warm heart.\n\nI have ch", finish_reason="length")
    outcome, _ = await edit(script(completion))
    assert isinstance(outcome, Row)


async def test_the_smallest_of_several_flips_is_kept() -> None:
    edits = ["A dull film with a cold heart.", "A dull film with a warm heart.", "A new film."]
    outcome, _ = await edit(script(edits), n=3, temperature=0.7)
    assert outcome.data["text"] == edits[1]
    outcome, context = await edit(script(*edits), keep_trying=True)
    assert (outcome.data["text"], outcome.data["attempts"]) == (edits[1], 3)
    assert "Wrong, it is bad but changes more than it must: A dull" in str(context.asked[1][0])


async def test_a_teacher_that_disagrees_ends_it_before_any_edit() -> None:
    outcome, context = await edit(script(bad=["charming"]))
    assert reasons([outcome]) == ["teacher_disagrees"]
    assert context.asked == []


async def test_a_second_engine_predicts() -> None:
    outcome, context = await edit(script("A dull film with a warm heart."), teacher="second")
    assert isinstance(outcome, Row)
    assert context.engines == ["second", None, "second"]
    params: Any = OP.params.model_validate({**CLASSIFY, "teacher": "second"})
    assert params.engines() == {"teacher": "second"}
    assert OP.columns(params, CLASSES).abilities == {
        "engine": {"generate"},
        "teacher": {"classify"},
    }
    alone: Any = OP.params.model_validate(CLASSIFY)
    assert OP.columns(alone, CLASSES).abilities == {"engine": {"generate", "classify"}}


def scored(*edits: str) -> Script:
    """The first word of a text decides: Where: water, When: oven, Who: sky; Why is undecided."""
    left = list(edits)
    by_word = {"Where": (-5.0, -1.0, -3.0), "When": (-5.0, -3.0, -1.0), "Who": (-1.0, -3.0, -5.0)}

    def scores(prompt: str, candidates: Sequence[str]) -> Sequence[float]:
        return by_word.get(prompt.removeprefix("Q: ").split(" ")[0], (-1.0, -1.0, -1.0))

    return Script(lambda prompt, sampling: [left.pop(0)], scores=scores)


@pytest.mark.parametrize(("target", "option"), [("hardest", 2), ("next", 2)])
async def test_the_target_among_several_options(target: str, option: int) -> None:
    outcome, _ = await edit(
        scored("When do fish live?"), FISH, CHOICE, target=target, predict={"by": "score"}
    )
    assert (outcome.data["answer"], outcome.data["target"]) == (option, option)
    assert outcome.data["question"] == "When do fish live?"


async def test_a_random_target_is_the_row_s_own() -> None:
    drawn = set()
    for key in range(20):
        rows = [Row(str(key), FISH)]
        outcomes, context = await run_op(
            OP, rows, scored(*["Why do fish live?"] * 3), CHOICE, predict={"by": "score"}
        )
        assert reasons(outcomes) == ["no_prediction"]
        drawn.add(str(context.asked[0][0]).rsplit("answer ", 1)[1])
    assert drawn == {"sky:", "oven:"}


async def test_a_third_option_is_a_wrong_target() -> None:
    editor = scored(*["Who do fish live with?"] * 3)
    outcome, context = await edit(editor, FISH, CHOICE, target="next", predict={"by": "score"})
    assert reasons([outcome]) == ["wrong_target"]
    assert "Wrong, it is sky: Who do" in str(context.asked[1][0])


async def test_a_demonstration_replaces_the_default() -> None:
    worked = {"text": "Fun!", "label": "good", "new_label": "bad", "edited": "No fun!"}
    edited = "A dull film with a warm heart."
    _, listed = await edit(script(edited), demonstrations=[worked])
    _, filed = await edit(script(edited), demonstrations=json.dumps(worked) + "\n")
    assert "Text: Fun!\nLabel: good\nChanged text, label bad: No fun!" in str(listed.asked[0][0])
    assert "complaint" not in str(listed.asked[0][0])
    assert listed.asked == filed.asked


@pytest.mark.parametrize("leak", ["target", "gold", "options[target]", "label", "tries"])
def test_the_teacher_s_prompt_may_not_read_what_the_editor_s_may(leak: str) -> None:
    params = {"predict": {"prompt": f"{{{{ stem }}}} {{{{ {leak} }}}}"}, "prompt": "{{ target }}"}
    with pytest.raises(ValueError, match="it would tell the teacher the answer"):
        OP.columns(OP.params.model_validate(params), CLASSES)


def test_a_task_without_options_is_refused() -> None:
    with pytest.raises(ValueError, match="minimal_edit needs options"):
        OP.columns(OP.params.model_validate({}), TASKS["free_text"])
