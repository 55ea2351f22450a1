"""Thoughts are told apart from the answer, and never kept silently."""

import pytest

from raygen.engines.reasoning import ThinkingTags, split_thinking, thinking_tags

ANALYSIS = "<|channel|>analysis<|message|>"


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("<think>\nHm.\n</think>\n\nB", "Hm.", "B"),
        ("Hm, the template opened it.</think>B", "Hm, the template opened it.", "B"),
        ("<think>never ends", "never ends", ""),
        ("<think></think>B", "", "B"),
        ("<reasoning>why</reasoning> B", "why", "B"),
        ("[THINK]why[/THINK]B", "why", "B"),
        ("<seed:think>why</seed:think>B", "why", "B"),
        ("◁think▷why◁/think▷B", "why", "B"),
        (f"{ANALYSIS}why<|end|><|start|>assistant<|channel|>final<|message|>B", "why", "B"),
        ("analysiswhyassistantfinalB", "why", "B"),
        (f"{ANALYSIS}never ends", "never ends", ""),
        ("analysis of the text: B", None, "analysis of the text: B"),
        ("People think > 3 is B", None, "People think > 3 is B"),
    ],
)
def test_thoughts_and_answer(text: str, thoughts: str | None, answer: str) -> None:
    assert split_thinking(text) == (thoughts, answer)


def test_a_thought_that_the_template_opened_and_nothing_closed_is_no_answer() -> None:
    assert split_thinking("and so on", is_open=True) == ("and so on", "")
    assert split_thinking("so</think>B", is_open=True) == ("so", "B")


def test_the_tags_of_a_vocabulary() -> None:
    assert thinking_tags({"a", "<think>", "</think>"}) == ThinkingTags()
    assert thinking_tags({"[THINK]", "[/THINK]"}) == ThinkingTags("[THINK]", "[/THINK]")
    assert thinking_tags({"<think>"}) is None


@pytest.mark.parametrize(
    ("prompt", "is_open"),
    [
        ("user: why?\nassistant: <think>\n", True),
        ("user: why?\nassistant: <think>\n\n</think>\n\n", False),
        ("user: why?\nassistant: ", False),
    ],
)
def test_where_a_prompt_ends(prompt: str, is_open: bool) -> None:
    assert ThinkingTags().is_open(prompt) is is_open
