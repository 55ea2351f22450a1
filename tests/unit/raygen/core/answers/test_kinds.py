"""Kinds of texts whose answer was read wrong or lost once."""

import pytest

from raygen.core.answers import read_answer, read_free_answer

CHOICES = ["cat", "dog", "cow", "hen"]
SIGNS = ["-5", "5", "+7", "7"]


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("First guess: \\boxed{A}. Wait, that is wrong. The correct answer is (C).", 2),
        ("The bound is \\boxed{n \\leq H}, so it is a bird.\nAnswer: D", 3),
        ("Answer: D, since \\boxed{x > 3} holds.", 3),
        ('A wrong reply would be {"answer": "A"}. Dogs bark, so the answer is (B).', 1),
        ('The answer is (B). A wrong reply would be {"answer": "A"}.', 1),
        ('Not {"answer": "A"}, but {"answer": "B"}', 1),
        ('{"answer": "A"}\nOn reflection: {"answer": "C"}', 2),
        ('The answer is (A)? No: {"answer": "C"}', 2),
        ("The answer is (A). So the answer is \\boxed{B}", 1),
        ('{"thoughts": "the answer is (A) or (D)", "answer": "B"}', 1),
        ('{"thoughts": {"answer": "A"}, "answer": "B"}', 1),
        ('{"answer": "B", "other_answer": "A"} is what I say.', 1),
        ('```json\n{"reason": "It barks.",\n "answer": "dog"}\n```\nI hope it helps.', 1),
        ('Sure, here it is: {"answer": "B"} Bye.', 1),
        ('{"answer": "B", "reason": "It is cut o', 1),
        ("{answer: B}", 1),
        ("The answer is E. No, wait, that's not correct.", None),
        ("The answer is (A). Wait, this is wrong.", None),
        ("The answer is (A). Wait, let me check. Yes, that is right.", 0),
        ("The answer is (A). (B) is wrong.", 0),
        ("The answer is (A). It is wrong to think of dogs.", 0),
    ],
)
def test_the_last_announcement_counts(text: str, option: int | None) -> None:
    assert read_answer(text, CHOICES).option == option


@pytest.mark.parametrize(
    "text",
    [
        "The answer to the first question is (A). The answer to the second question is (B).",
        "The answer to question 1 is A.\nThe answer to question 2 is C.",
        "1. The answer is (A).\n2. The answer is (B).",
        "Answer 1: B\nAnswer 2: C",
        "Q1: the answer is A\nQ2: the answer is B",
    ],
)
def test_answers_to_different_questions_name_none(text: str) -> None:
    assert read_answer(text, CHOICES).option is None


def test_an_option_without_words_is_never_named() -> None:
    assert read_answer("", ["", ""]).option is None
    assert read_answer("The answer is (b).", ["", " "]).option == 1


def test_steps_that_lead_to_one_answer_are_no_different_questions() -> None:
    text = "The answer to the first part is (A). Taken together, the final answer is (B)."
    assert read_answer(text, CHOICES).option == 1
    assert read_answer("1. The answer is (B).\n2. The answer is (B).", CHOICES).option == 1


@pytest.mark.parametrize(
    "run_on",
    [
        "\nQuestion: Which animal purrs?\nOptions: (A) cat (B) dog\nAnswer: The answer is (A).",
        "\nQ: Which animal purrs?\nA: The answer is (A).",
        "\n\nQuestion 2: Which animal purrs?\nThe answer is (A).",
        "\n### Question\nWhich animal purrs? The answer is (A).",
        "\n**Next question:** Which animal purrs? Answer: A",
        "\nOptions:\nA. cat\nB. dog\nAnswer: A",
        "\n(A) cat (B) dog\nAnswer: A",
        "\nA) cat\nB) dog\nAnswer: A",
        "\nProblem 3. Which animal purrs? Answer: A",
        "\nPremise: A cat purrs.\nHypothesis: It is a cat.\nAnswer: A",
        "\nHuman: Which animal purrs?\nAssistant: The answer is (A).",
        "<|im_end|>\n<|im_start|>user\nWhich purrs?<|im_end|>\nThe answer is (A).",
        "\n[INST] Which purrs? [/INST] The answer is (A).",
        "\nFrage: Wer schnurrt?\nAntwort: A",
        "\n问题：哪个？\n答案：A",
    ],
)
@pytest.mark.parametrize("answer", ["The answer is (B).", "So (B) is the right answer.", "(B)"])
def test_a_question_that_the_model_goes_on_with_is_cut_off(answer: str, run_on: str) -> None:
    before = "" if answer == "(B)" else "Dogs bark. "
    read = read_answer(before + answer + run_on, CHOICES)
    assert read.option == 1
    assert read.rationale in ("Dogs bark.", "", before + answer)


@pytest.mark.parametrize(
    "text",
    [
        "Question: Which animal barks?\nOptions: (A) cat (B) dog\nAnswer: (B)",
        "Let me read it again.\nQuestion: Which animal barks?\nA) cat\nB) dog\nThe answer is (B).",
        "A: cats purr.\nB: dogs bark.\nSo the answer is B.",
        "The answer is (B).\nA: it is wrong, cats purr. B: it is right.",
    ],
)
def test_a_question_that_is_repeated_first_is_no_new_one(text: str) -> None:
    assert read_answer(text, CHOICES).option == 1


@pytest.mark.parametrize(
    ("text", "option", "rationale"),
    [
        ("Yes - because fish have gills.", 0, "fish have gills."),
        ("Yes — they do.", 0, "they do."),
        ("No because they fly.", 1, "they fly."),
        ("No, as they fly.", 1, "they fly."),
    ],
)
def test_yes_and_no_with_their_reason(text: str, option: int, rationale: str) -> None:
    read = read_answer(text, ["yes", "no"])
    assert (read.option, read.rationale, read.answer_first) == (option, rationale, True)


@pytest.mark.parametrize(
    ("text", "rationale", "answer_first"),
    [
        ("(B)\n\nExplanation: dogs bark.", "dogs bark.", True),
        ("B. dog\n\nDogs bark, cats don't.", "Dogs bark, cats don't.", True),
        ("Dogs bark.\n<answer>B</answer>", "Dogs bark.", False),
        ("Dogs bark.\n### Answer\nB", "Dogs bark.", False),
        ("**Final Answer**\n\nB", "", False),
        ('```json\n{"answer": "B"}\n```', "", False),
        ("Dogs bark.\nSo it's B.", "Dogs bark.", False),
        ("Dogs bark.\nTherefore, (B).", "Dogs bark.", False),
    ],
)
def test_what_remains_of_a_text(text: str, rationale: str, answer_first: bool) -> None:
    read = read_answer(text, CHOICES)
    assert (read.option, read.rationale, read.answer_first) == (1, rationale, answer_first)
    assert read.confidence >= 0.9


def test_a_list_of_the_options_is_no_answer() -> None:
    assert read_answer("(A) cat\n\n(B) dog\n\n(C) cow", CHOICES).option is None
    assert read_answer("A. cat\n\nThis one purrs, and B barks.", CHOICES).confidence < 0.9


@pytest.mark.parametrize("minus", "-−－﹣‒–")
def test_options_that_differ_in_a_sign_only(minus: str) -> None:
    assert read_answer(f"The answer is {minus}5.", SIGNS).option == 0
    assert read_answer("The answer is 5.", SIGNS).option == 1
    assert read_answer("The answer is +7.", SIGNS).option == 2
    assert read_answer("Answer: 7", SIGNS).option == 3
    assert read_answer(f"The answer is {minus}7.", SIGNS).option is None
    assert read_answer("The answer is -5.", [f"{minus}5", "5"]).option == 0
    assert read_free_answer(f"The answer is {minus}5.").text == "-5"


@pytest.mark.parametrize(
    ("text", "choices", "option"),
    [
        ("The answer is f′(x).", ["f(x)", "f'(x)"], 1),
        ("The answer is f(x).", ["f'(x)", "f(x)"], 1),
        ("The answer is ½.", ["1/2", "1/3"], 0),
        ("The answer is \\boxed{\\frac{1}{3}}.", ["1/2", "1/3"], 1),
        ("The answer is 1/3", ["$\\frac{1}{2}$", "$\\frac{1}{3}$"], 1),
        ("The answer is １２.", ["12", "21"], 0),
        ("The answer is ١٢.", ["12", "21"], 0),
        ("The answer is 1,500.", ["1500", "150"], 0),
        ("The answer is 1500.", ["1,500", "150"], 0),
        ("The answer is 15%.", ["1.5%", "15%"], 1),
        ("The answer is 5/6.", ["5", "6"], None),
        ("The answer is x + 5.", ["5", "x"], None),
        ("The answer is 2^5.", ["2", "5"], None),
        ("答案是Ｂ。", ["12", "21"], 1),
    ],
)
def test_signs_and_digits(text: str, choices: list[str], option: int | None) -> None:
    assert read_answer(text, choices).option == option


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("Dogs bark. The answer is (B). And furth", 1),
        ("Dogs bark. The answer is (B)", 1),
        ("Dogs bark. The answer is \\boxed{B} for th", 1),
        ("B", 1),
        ("(B) dog", 1),
        ("Dogs bark. The answer is d", None),
        ("Dogs bark. The answer is A", None),
        ("Dogs bark, so it can only be (b), as th", None),
        ("Dogs bark. Is it the dog, or", None),
        ("The answer is (A)? No, dogs", 0),
    ],
)
def test_a_text_that_was_cut_off_has_only_what_it_announced_before(
    text: str, option: int | None
) -> None:
    assert read_answer(text, CHOICES, cut_off=True).option == option


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("That makes 18. The answer is 18. And so", "18"),
        ("The answer is \\boxed{18} and", "18"),
        ("The answer is 18", None),
        ("The answer is 18.", None),
        ("She has 4 + 5 apples, that is 9 in a", None),
        ("New Yor", None),
    ],
)
def test_a_number_that_was_cut_off_is_none(text: str, answer: str | None) -> None:
    assert read_free_answer(text, cut_off=True).text == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("6 * 7 = 42. The answer is 42.\nQ: What is 1 + 1?\nA: The answer is 2.", "42"),
        ("42\n\nQuestion: What is 1 + 1?\nAnswer: 2", "42"),
        ("\\boxed{7}\nProblem: 1 + 1\nSolution: \\boxed{2}", "7"),
        ("Let me see.\nQuestion: What is 6 * 7?\nAnswer: 42", "42"),
        ("First \\boxed{3}, no. The answer is 4.", "4"),
        ("The answer is 4 apples. #### 4", "4 apples"),
        ("It is so.\n#### 1,000", "1,000"),
        ("The answer is 3.\n#### Explanation\nIt is so.", "3"),
        ("Die Antwort ist 42.", "42"),
        ("答案是42。", "42"),
        ("정답은 42입니다.", "42"),
        ("<answer>42</answer>", "42"),
        ("The answer is 'oeroerr'.", "oeroerr"),
        ("The answer is f'.", "f'"),
    ],
)
def test_free_answers(text: str, answer: str) -> None:
    assert read_free_answer(text).text == answer
