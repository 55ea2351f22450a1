"""The teacher's prediction: by classifier, by score, by vote; and what its prompt never sees."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from raygen.core.row import Row
from raygen.core.task import TASKS, Task
from raygen.engines.base import EngineSetupError, Message
from raygen.ops.common.prediction import (
    HIDDEN,
    OptionProbabilities,
    PredictionParams,
    predict_options,
)
from raygen.testing import FakeContext, Script

FISH = {"question": "Where do fish live?", "choices": ["sky", "deep water"], "answer": 1}
FILM = {"text": "A charming film.", "label": "good"}
CHOICE = TASKS["multiple_choice"]
CLASSES = replace(TASKS["classification"], labels=("bad", "good"))


async def ask(
    data: Mapping[str, Any], script: Script, task: Task = CHOICE, **params: Any
) -> tuple[OptionProbabilities, FakeContext]:
    context = FakeContext(Row("key", data), script, task)
    parsed = PredictionParams.model_validate(params)
    return await predict_options(data, data[task.stem], parsed, context, "second"), context


def scores(*logprobs: float) -> Script:
    return Script(scores=lambda prompt, candidates: logprobs)


def classes(**chances: float) -> Script:
    return Script(classes=lambda text: chances)


async def test_a_question_is_scored_by_the_letters_of_its_options() -> None:
    prediction, context = await ask(FISH, scores(-2.0, -1.0))
    ((prompt, candidates),) = context.scored
    assert prompt == "Q: Where do fish live?\nOptions: (a) sky (b) deep water\nA: The answer is"
    assert candidates == (" (a)", " (b)")
    assert context.engines == ["second"]
    assert prediction.probabilities == pytest.approx((0.268941, 0.731059), abs=1e-6)
    assert (prediction.option, prediction.words()) == (1, "'deep water' (0.73)")
    assert list(prediction.by_option) == ["sky", "deep water"]


async def test_a_text_is_scored_by_its_labels() -> None:
    prediction, context = await ask(FILM, scores(-1.0, -3.0), CLASSES)
    ((prompt, candidates),) = context.scored
    assert prompt == (
        "Text: A charming film.\nQuestion: Is this text bad or good?\nAnswer: This text is"
    )
    assert (candidates, prediction.option) == ((" bad", " good"), 0)


@pytest.mark.parametrize(
    ("params", "option"),
    [
        ({"candidates": "texts"}, 1),  # -1.0 and -0.75 per token
        ({"candidates": "texts", "normalise": "sum"}, 0),
        ({"candidates": "letters"}, 0),
    ],
)
async def test_long_options_have_no_handicap_when_texts_are_scored(
    params: dict[str, Any], option: int
) -> None:
    prediction, _ = await ask(FISH, scores(-1.0, -1.5), **params)
    assert prediction.option == option


async def test_a_chat_turn_starts_without_a_space() -> None:
    _, context = await ask(FISH, scores(-1.0, -1.5), chat=True)
    ((prompt, candidates),) = context.scored
    assert isinstance(prompt[0], Message)
    assert candidates == ("(a)", "(b)")


@pytest.mark.parametrize("hidden", sorted(HIDDEN))
async def test_what_tells_the_answer_is_not_there_to_read(hidden: str) -> None:
    with pytest.raises(ValueError, match=f"'{hidden}' is undefined"):
        await ask({**FISH, hidden: 1}, scores(-1.0, -2.0), prompt=f"{{{{ {hidden} }}}}")


async def test_a_prompt_reads_the_text_under_its_own_name_and_other_columns() -> None:
    prompt = "{{ topic }}: {{ question }} {{ stem }}"
    params = PredictionParams.model_validate({"prompt": prompt})
    context = FakeContext(Row("key", FISH), scores(-1.0, -2.0), CHOICE)
    await predict_options({**FISH, "topic": "fish"}, "Where do birds fly?", params, context)
    assert context.scored[0][0] == "fish: Where do birds fly? Where do birds fly?"


async def test_a_vote_counts_what_it_cant_read() -> None:
    answers = [" (b)", " b.", "It is (a).", "no idea"]
    prediction, context = await ask(FISH, Script(answers), by="vote", samples=4)
    assert prediction.probabilities == (0.25, 0.5)
    assert context.asked[0][1].n == 4


@pytest.mark.parametrize("answers", [[" (b)", " (a)", "?"], ["?", "?"], []])
async def test_a_level_or_unread_vote_is_no_prediction(answers: list[str]) -> None:
    prediction, _ = await ask(FISH, Script(answers), by="vote")
    assert prediction.option is None
    assert prediction.words().startswith("no single option")


@pytest.mark.parametrize(
    ("chances", "labels"),
    [
        ({"GOOD": 0.9, "bad ": 0.1}, None),
        ({"LABEL_1": 0.9, "LABEL_0": 0.1}, None),
        ({"4 stars": 0.3, "1 star": 0.1, "5 stars": 0.6},
         {"1 star": "bad", "4 stars": "good", "5 stars": "good"}),
    ],
)  # fmt: skip
async def test_a_classifier_s_labels_are_the_task_s(
    chances: dict[str, float], labels: dict[str, str] | None
) -> None:
    prediction, context = await ask(FILM, classes(**chances), CLASSES, by="classify", labels=labels)
    assert prediction.probabilities == pytest.approx((0.1, 0.9))
    assert context.engines == ["second"]


@pytest.mark.parametrize(
    ("chances", "labels"),
    [
        ({"POSITIVE": 0.9, "NEGATIVE": 0.1}, None),
        ({"LABEL_1": 0.9, "LABEL_2": 0.1}, None),
        ({"bad": 0.1, "good": 0.8, "neutral": 0.1}, None),
        ({"a": 0.1, "b": 0.8, "c": 0.1}, {"a": "bad", "b": "good"}),
    ],
)
async def test_labels_that_dont_fit_stop_the_run(
    chances: dict[str, float], labels: dict[str, str] | None
) -> None:
    with pytest.raises(EngineSetupError, match=r"the task's \['bad', 'good'\]; say which is which"):
        await ask(FILM, classes(**chances), CLASSES, by="classify", labels=labels)


@pytest.mark.parametrize(
    ("task", "params", "message"),
    [
        (TASKS["free_text"], {}, "found free_text"),
        (TASKS["classification"], {}, "name them in the recipe's"),
        (CHOICE, {"by": "classify"}, "use by: score or by: vote"),
        (CLASSES, {"by": "classify", "labels": {"x": "good"}}, "expected each of the task's"),
    ],
)
def test_what_cant_be_predicted_is_a_plan_error(
    task: Task, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PredictionParams.model_validate(params).check(task, "flip_check")


@pytest.mark.parametrize(
    "params", [{"labels": {"a": "b"}}, {"by": "vote", "normalise": "sum"}, {"by": "guess"}]
)
def test_parameters_that_would_do_nothing_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PredictionParams.model_validate(params)
