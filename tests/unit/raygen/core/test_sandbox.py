"""Published ways out of Jinja's sandbox: each is a clear error, and what prompts need works."""

from __future__ import annotations

import pytest
from jinja2 import Undefined

from raygen.core.task import TASKS
from raygen.core.template import (
    TemplateError,
    evaluate_expression,
    render,
    template_fields,
)
from raygen.ops.filter import OP as FILTER
from raygen.ops.filter import FilterParams
from raygen.ops.map import OP as MAP
from raygen.ops.map import MapParams
from streamtrain.config.data import check_input
from tests.support.template_attacks import ROW

ESCAPES = [
    "''.__class__.__mro__[1].__subclasses__()",
    "''['__class__']",
    "''|attr('__class__')",
    "''|attr('__cla' ~ 'ss__')",
    "''|attr('\\x5f\\x5fclass\\x5f\\x5f')",
    "x.upper.__self__",
    "'{0.__class__}'.format(x)",
    "'{0.__class__.__init__.__globals__}'.format(x)",
    "'{x.__class__}'.format_map({'x': x})",
    "('{0.__class__}'|attr('format'))(x)",
    "[x]|sum(attribute='__class__')",
    "[x]|sort(attribute='__class__.__name__')|first|attr('__doc__')",
    "x|attr('format')|attr('__globals__')",
    "lipsum.__globals__",
    "lipsum|attr('__globals__')",
    "cycler.__init__.__globals__.os.popen('id').read()",
    "joiner.__init__.__globals__",
    "namespace(a=1)",
    "dict(a=1)",
    "self.__init__.__globals__",
    "self._TemplateReference__context.eval_ctx.environment",
    "range.__class__",
    "(1).__class__",
    "row.__class__",
    "row.update({'k': 2})",
    "row.setdefault('j', 2)",
    "items.append(1)",
    "items.sort()",
    "config",
    "request",
    "__import__('os')",
    "url_for.__globals__",
    "[].__len__.__self__",
    "(x for x in items)",
    "lambda: 1",
]

STATEMENTS = [
    "{% autoescape true %}{% endautoescape %}",
    "{% include '/etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import popen %}",
    "{% block a %}{% endblock %}",
]


@pytest.mark.parametrize("attack", STATEMENTS)
def test_statements_that_reach_other_templates_are_refused(attack: str) -> None:
    with pytest.raises(TemplateError, match="not available here"):
        template_fields(attack)
    with pytest.raises(TemplateError, match="not available here"):
        render(attack, ROW)


def test_a_template_is_held_to_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygen.core.sandbox.MAX_SECONDS", -1.0)
    for text in ("{% for i in items %}{% endfor %}", "{{ items == items }}", "{{ x|upper }}"):
        with pytest.raises(TemplateError, match="seconds"):
            render(text, ROW)


@pytest.mark.parametrize("attack", ESCAPES)
def test_an_expression_gets_no_further(attack: str) -> None:
    with pytest.raises(TemplateError):
        evaluate_expression(attack, ROW)
    with pytest.raises(TemplateError):
        render("{{ " + attack + " }}", ROW)


@pytest.mark.parametrize(
    "attack", ["items|map(attribute='__class__')|list", "items|map('attr', '__class__')|list"]
)
def test_an_attribute_of_each_item_is_none_at_all(attack: str) -> None:
    assert all(isinstance(each, Undefined) for each in evaluate_expression(attack, ROW))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ x }}\n{{ '%s' % x }}", "line 2 .* a format with `%`"),
        ("{{ x }}\n{{ '{}'.format(x) }}", "line 2 .* `.format\\(\\)`"),
        ("{{ x|format(1) }}", "the filter `format` is not available here"),
        ("{{ n ** 2 }}", "`\\*\\*` is not available here"),
        ("{{ 9999999999999999 }}", "more than 15 digits"),
        ("{{ x.split(*items) }}", "`\\*` in a call"),
    ],
)
def test_what_the_language_lacks_is_an_error_before_a_row_is_read(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        template_fields(text)


@pytest.mark.parametrize("attack", ["{% include '/etc/passwd' %}", *ESCAPES[:4]])
def test_a_students_input_is_held_to_the_same(attack: str) -> None:
    template = attack if "{%" in attack else "{{ " + attack + " }}"
    with pytest.raises(ValueError, match=r"data\.input"):
        check_input(template, classifier=False, control=False, tasks=False)


@pytest.mark.parametrize("attack", ESCAPES[:3])
async def test_filter_and_map_evaluate_in_the_sandbox(attack: str) -> None:
    from raygen.core.row import Row

    row = Row("key", ROW)
    with pytest.raises(TemplateError):
        await FILTER.run(row, FilterParams(where=attack), None)  # type: ignore[arg-type]
    with pytest.raises(TemplateError):
        await MAP.run(row, MapParams(set={"y": attack}), None)  # type: ignore[arg-type]
    assert MAP.columns(MapParams(set={"y": "x"}), TASKS["free_text"]).provides == {"y": "string"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("x * 3", "texttexttext"),
        ("items|join(', ')", "a, b"),
        ("', '.join(items)", "a, b"),
        ("items|map('upper')", ["A", "B"]),
        ("items|select('equalto', 'z')", []),
        ("items|select('in', ['a'])", ["a"]),
        ("'a' in items and 'z' not in items and 'e' is in x", True),
        ("x.replace('t', 'd')|title", "Dexd"),
        ("(items|length) % 2 == 0", True),
        ("range(3)|list", [0, 1, 2]),
        ("x ~ '-' ~ (7 + 1)", "text-8"),
        ("(0.256|round(2)) ~ '%'", "0.26%"),
        ("x|indent(2)|wordwrap(3)|center(9)", "  tex\nt  "),
        ("(x * 1000).split('t')|length", 2001),
        ("n * n // 7 % 1000", 857),
        ("x[1:3] ~ items[-1]", "exb"),
        ("[x, {'k': items}]", ["text", {"k": ["a", "b"]}]),
        ("row.items()|list", [("k", 1)]),
        ("row|dictsort", [("k", 1)]),
        ("row|tojson(indent=1)", '{\n "k": 1\n}'),
        ("'<b>'|e ~ '<i>'", "&lt;b&gt;<i>"),
        ("[3, 1, 2]|sort|batch(2)", [[1, 2], [3]]),
        ("x.rsplit('e', 1)|first", "t"),
        ("nothing|default('none')", "none"),
        ("x|truncate(3, true, '', 0)", "tex"),
    ],
)
def test_what_prompts_are_made_of_still_works(expression: str, value: object) -> None:
    assert evaluate_expression(expression, ROW) == value


def test_a_field_of_ten_megabytes_is_shown() -> None:
    assert len(render("{{ x }}: {{ x|lower|trim }}", {"x": "A" * 10_000_000})) == 20_000_002
    words = "seven " * 1_666_666
    assert render("{{ x.split() | join(' ') }}", {"x": words}) == words.strip()


def test_loops_and_macros_have_what_they_had() -> None:
    text = (
        "{% macro item(n, name) %}{{ n }}. {{ name }}{{ caller() }}{% endmacro %}"
        "{% for a in items %}{% call item(loop.index, a) %}{{ ',' if not loop.last }}"
        "{{ loop.cycle('x', 'y') }}{{ loop.length }} {% endcall %}{% endfor %}"
        "{% set b %}{{ x }}{% endset %}{% filter upper %}{{ b }}{% endfilter %}"
        "{% for i in [[1, [2]]] recursive %}{{ loop(i) if i is iterable else i }}{% endfor %}"
    )
    assert render(text, ROW) == "1. a,x2 2. by2 TEXT12"


def test_a_loop_over_every_option_of_every_option_is_shown() -> None:
    text = "{% for a in many %}{% for b in many %}{{ a }}{{ loop.index }} {% endfor %}{% endfor %}"
    assert render(text, {"many": ["ab"] * 200}).count("ab") == 40_000
