"""Templates and expressions: what they read, give, and refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.core.template import (
    TemplateError,
    evaluate_expression,
    expression_as_template,
    render,
    template_fields,
)


def test_fields_are_the_names_read_from_the_row() -> None:
    text = "{{ question }} {% for c in choices %}{{ loop.index0 | letter }}{{ c }}{% endfor %}"
    assert template_fields(text) == {"question", "choices"}


def test_an_expression_reads_the_same_fields_as_a_template() -> None:
    assert template_fields(expression_as_template("predicted == answer and range(3)")) == {
        "predicted",
        "answer",
    }


def test_letters_are_capital_from_zero() -> None:
    assert render("{{ i | letter }}", {"i": 2}) == "C"


def test_an_undefined_field_is_an_error_in_both_forms() -> None:
    with pytest.raises(TemplateError, match="nothing"):
        render("{{ nothing }}", {})
    with pytest.raises(TemplateError):
        evaluate_expression("nothing", {})


def test_a_broken_template_says_where() -> None:
    with pytest.raises(TemplateError, match="line 2"):
        template_fields("fine\n{{ broken")


def test_an_unknown_filter_says_where() -> None:
    with pytest.raises(TemplateError, match="line 2 of the template: No filter named 'shout'"):
        template_fields("fine\n{{ x | shout }}")


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ x.__init__.__globals__ }}",
        "{{ cycler.__init__ }}",
        "{{ range(10**9) | list }}",
        "{{ items.append(1) }}",
    ],
)
def test_the_sandbox_holds(attack: str) -> None:
    with pytest.raises(TemplateError):
        render(attack, {"x": test_the_sandbox_holds, "items": []})


@pytest.mark.parametrize(
    ("expression", "value"),
    [("a == b", False), ("a + 1", 2), ("names | length", 2), ("a in [1, 2]", True)],
)
def test_expressions_keep_their_type(expression: str, value: object) -> None:
    assert evaluate_expression(expression, {"a": 1, "b": 2, "names": ["x", "y"]}) == value


@given(st.text(max_size=80))
def test_any_text_renders_or_raises_a_template_error(text: str) -> None:
    try:
        template_fields(text)
        assert isinstance(render(text, {}), str)
    except TemplateError as error:
        assert str(error)  # noqa: PT017


def test_a_text_s_answer_can_be_read_in_a_template() -> None:
    said = "Dogs bark. The answer is (b)."
    data = {"said": said, "choices": ["cat", "dog"]}
    template = "{% set a = said | read_answer(choices) %}{{ a.label }}|{{ a.predicted }}|"
    template += "{{ a.rationale }}|{{ a.confidence }}|{{ a.answer_first }}"
    assert render(template, data) == "dog|1|Dogs bark.|0.95|False"
    assert render("{{ (said | read_answer).predicted }}", {"said": "So the answer is 42."}) == "42"
    expression = "(said | read_answer(choices)).predicted == 1"
    assert evaluate_expression(expression, data) is True
    with pytest.raises(TemplateError):
        render("{{ said | read_answer }}", {"said": 3})
