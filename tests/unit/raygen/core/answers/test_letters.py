"""Every letter is read alike: phrasings by letters by kinds of options."""

from string import ascii_uppercase

import pytest

from raygen.core.answers import read_answer

LETTERS = "ABCDEFGH"
OPTIONS = {
    "words": ["barn", "cave", "desert", "field", "garden", "harbour", "island", "jungle"],
    "numbers": ["12", "-12", "15", "1,500", "3/4", "0.5", "70%", "8"],
    "sentences": [
        "A cat sleeps all day.",
        "It rains in the north.",
        "Nobody came to the door.",
        "The sun rises early",
        "they walked home again",
        "I would rather stay here",
        "Many birds fly south",
        "a door was left open",
    ],
}
SEPARATE = (
    "The answer is Option {L}",
    "The answer is {L}",
    "The answer is {L}.",
    "The answer is: {L}",
    "The answer is ({L}).",
    "The answer is ({l}).",
    "The answer is [{L}]",
    "So the answer is {L}).",
    "So the answer is {l})",
    "Therefore, the correct answer is {L}.",
    "Thus the best choice is {L}.",
    "The correct option is {L}",
    "The correct choice is option {L}.",
    "My final answer is {L}.",
    "The answer must be ({L}).",
    "The answer would be {L}.",
    "The most likely answer is {L}",
    "The right answer is choice {L}.",
    "the answer should be {L}",
    "In conclusion, the answer is {L}.",
    "The answer to the question is {L}.",
    "The answer here is {L}.",
    "Answer: {L}",
    "Answer: ({l})",
    "ANSWER: {L}",
    "answer: {l}",
    "Answer = {L}",
    "Answer - {L}",
    "Answer → {L}",
    "Final answer: {L}",
    "Final Answer: ({L})",
    "Correct answer: {L}",
    "Correct option: {L}",
    "Label: {L}",
    "Option: {L}",
    "Choice: {L}",
    "**Answer: {L}**",
    "**Answer:** {L}",
    "**Answer**: {L}",
    "*Answer*: *{L}*",
    "Answer: **{L}**",
    "Answer: `{L}`",
    'Answer: "{L}"',
    "Answer: '{L}'",
    "Answer: ‘{L}’",
    "Answer: “{L}”",
    "Answer: ${L}$",
    "Answer: \\({L}\\)",
    "Answer: \\(\\text{{{L}}}\\)",
    "Answer: $\\mathbf{{{L}}}$",
    "Answer: {{{L}}}",
    "Answer: <{L}>",
    "Answer: =={L}==",
    "Answer: __{L}__",
    "Answer: → {L}",
    "Answer: -> {L}",
    "Answer:\n{L}",
    "Answer:\n\n({L})",
    "Answer:\n- {L}",
    "Answer：{L}",
    "Answer: （{L}）",
    "Answer: 【{L}】",
    "<answer>{L}</answer>",
    "<answer>({L})</answer>",
    "<final_answer>{L}</final_answer>",
    "#### {L}",
    "\\boxed{{{L}}}",
    "$\\boxed{{{L}}}$",
    "\\boxed{{({L})}}",
    "\\boxed{{\\text{{{L}}}}}",
    "$$\\boxed{{\\mathrm{{{L}}}}}$$",
    "The answer is $\\boxed{{{L}}}$.",
    '{{"answer": "{L}"}}',
    '{{"answer": "({L})"}}',
    '{{"reasoning": "It is so.", "answer": "{L}"}}',
    'Here is the JSON: {{"answer": "{L}"}}',
    '```json\n{{"answer": "{L}"}}\n```',
    '```\n{{"final_answer": "{L}"}}\n```',
    '{{"result": {{"choice": "{L}"}}}}',
    "{{'answer': '{L}'}}",
    "I choose {L}.",
    "I would choose option {L}",
    "I'd go with {L}.",
    "I pick ({L}).",
    "I will answer {L}.",
    "{L} is correct.",
    "({L}) is correct.",
    "({l}) is the correct answer.",
    "{L} is the right answer.",
    "Option {L} is correct.",
    "Option {L} is the best choice.",
    "Choice {L} is the answer.",
    "**{L}** is the correct answer.",
    "'{L}' is the best answer.",
    "{L} would be the best option.",
    "So {L} seems to be the most likely answer.",
    "{L}",
    "({L})",
    "({l})",
    "{L}.",
    "{L})",
    "[{L}]",
    "**{L}**",
    "**({L})**",
    "${L}$",
    "\\({L}\\)",
    "{{{L}}}",
    "‘{L}’",
    "→ {L}",
    "Option {L}",
    "option {L}.",
    "{L} because it is so.",
    "{L} - it is so.",
)
WITH_WORDS = (
    "{L}. {o}",
    "{L}) {o}",
    "({L}) {o}",
    "({l}) {o}.",
    "{L}: {o}",
    "**{L}) {o}**",
    "The answer is ({L}) {o}.",
    "The answer is {L}. {o}",
    "Answer: {L}) {o}",
    "Answer: **{L}. {o}**",
    "The correct answer is option {L}: {o}",
    "Answer: {L} ({o})",
    "The answer is {o} ({L}).",
    "The answer is {o}",
    "Answer: {o}",
    '{{"answer": "{o}"}}',
    "<answer>{o}</answer>",
    "\\boxed{{{o}}}",
)
PHRASINGS = (*SEPARATE, *WITH_WORDS)
BEFORE = ("", "They think a while.\n")


def test_there_are_a_hundred_phrasings() -> None:
    assert len(PHRASINGS) >= 100


@pytest.mark.parametrize("phrasing", PHRASINGS)
def test_every_letter_is_read_alike(phrasing: str) -> None:
    texts = [
        (before + phrasing.format(L=letter, l=letter.lower(), o=options[index]), options, index)
        for options in OPTIONS.values()
        for index, letter in enumerate(LETTERS)
        for before in BEFORE
    ]
    read = [read_answer(text, options).option for text, options, _ in texts]
    assert read == [index for _, _, index in texts]


def test_the_ninth_letter_is_one_too() -> None:
    options = [f"thing {number}" for number in range(10)]
    for text in ("Answer: $I$", "The answer is I.", "(I)", "I", "\\boxed{I}", "<answer>I</answer>"):
        assert read_answer(text, options).option == ascii_uppercase.index("I")


@pytest.mark.parametrize("letters", ["ABCDEFGH"[at : at + 3] for at in range(6)])
@pytest.mark.parametrize(
    "listing",
    [
        "{0}, {1} or {2}",
        "{0}, {1}, {2}",
        "{0}, {1}, and {2}.",
        "The answer is {0}, {1} or {2}.",
        "Answer: {0}, {1} or {2}",
        "Answer: ({0}), ({1}) or ({2})",
        "Answer: {0}/{1}/{2}",
        "It could be {0}, {1} or {2}.",
        "The answer is either {0} or {1}.",
        "Answer: {0} & {1}",
        "\\boxed{{{0}, {1}}}",
        '{{"answer": "{0} or {1}"}}',
        '{{"answer": ["{0}", "{1}"]}}',
        "{0} and {1} are both correct answers.",
    ],
)
def test_a_list_of_alternatives_names_none(letters: str, listing: str) -> None:
    for options in OPTIONS.values():
        assert read_answer(listing.format(*letters), options).option is None


@pytest.mark.parametrize(
    "text",
    [
        "A cat is an animal.",
        "I think so.",
        "I, for one, don't know.",
        "A man walks. I see him.",
        "Vitamin A-rich food helps.",
        "A/B tests are slow.",
    ],
)
def test_an_article_or_a_pronoun_is_no_letter(text: str) -> None:
    assert read_answer(text, ["x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9"]).option is None
