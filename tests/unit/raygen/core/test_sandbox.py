"""Published ways out of Jinja's sandbox, and templates that never end: each is a clear error."""

from __future__ import annotations

import pytest
from jinja2 import Undefined

from raygen.core.task import TASKS
from raygen.core.template import (
    TemplateError,
    evaluate_expression,
    expression_as_template,
    render,
    template_fields,
)
from raygen.ops.filter import OP as FILTER
from raygen.ops.filter import FilterParams
from raygen.ops.map import OP as MAP
from raygen.ops.map import MapParams
from streamtrain.config.data import check_input

ROW = {"x": "text", "items": ["a", "b"], "n": 10**9, "row": {"k": 1}}

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

ENDLESS = [
    "range(10**9)|list",
    "range(1000000)|list",
    "'a' * 10**9",
    "10**9 * 'a'",
    "[0] * 10**9",
    "'a' * n",
    "2**n",
    "n**n**n",
    "'a'|center(10**9)",
    "'a'|center(1000000000)",
    "'a'.center(1000000000)",
    "'a'.ljust(n)",
    "'a'.zfill(1000000000)",
    "'\\t'.expandtabs(1000000000)",
    "'%1000000000d' % 1",
    "'%*d' % (1000000000, 1)",
    "'%1000000000s'|format(1)",
    "'{:1000000000}'.format(1)",
    "'{:{}}'.format(1, n)",
    "'a'|indent(1000000000, true)",
    "('a\\n' * 10000)|indent(10000)",
    "('a ' * 10000)|wordwrap(1, wrapstring='b' * 10000)",
    "('a' * 100000)|replace('a', 'b' * 100000)",
    "('a' * 100000).replace('', 'b' * 100000)",
    "(range(10000)|list)|join('b' * 100000)",
    "('b' * 100000).join((range(10000)|map('string'))|list)",
    "items|batch(10**9, 'x')|list",
    "items|slice(10**9)|list",
    "items|tojson(10**9)",
    "1.5|round(10**9)",
    "(1).to_bytes(10**9)",
    "'a'.translate({97: 'b'})",
    "7**8000000",
    "('f' * 100000)|int(0, 16) // 7",
    "'{:>{}}'.format('a', '900000000')",
    "'{:>{0[w]}}'.format({'w': 900000000})",
    "('{0}' * 1000).format('a' * 1000000)",
    "('%s' * 1000) % (('a' * 1000000,) * 1000)",
    "'a '|list|join('b' * 200000000)",
    "('a ' * 50000000).split()",
]

BLOCKS = [
    "{% for i in range(90000) %}" + "x" * 10_000 + "{% endfor %}",
    "{% set a = [1] %}" + "{% set a = a|batch(3, a)|list %}" * 60 + "{{ a }}",
    "{% macro f(a, n) %}{{ f(a[1:], n + 1) }}{% endmacro %}{{ f('x' * 9000000, 0) }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}{{ range(99999)|sum }}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40,
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a + a %}" * 40,
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40,
    "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
    "{% set a = [1] %}{% set b = [1] %}"
    + "{% set a = [a, a] %}{% set b = [b, b] %}" * 60
    + "{{ a == b }}",
    "{% set a = (1,) %}" + "{% set a = (a, a) %}" * 60 + "{{ {a: 1} }}",
    "{% set a = (1,) %}" + "{% set a = (a, a) %}" * 60 + "{{ row[a] }}",
    "{% set a = (1,) %}" + "{% set a = (a, a) %}" * 60 + "{{ [a, a]|unique|list }}",
    "{% set a = (1,) %}" + "{% set a = (a, a) %}" * 60 + "{{ 1 if 1 is in(a) else 2 }}",
    "{% macro a() %}" + "x" * 1000 + "{% endmacro %}"
    + "".join(
        f"{{% macro {b}() %}}" + f"{{{{ {a}() }}}}" * 10 + "{% endmacro %}"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "{{ i() }}",
    "{% for a in x recursive %}" * 30 + "{% endfor %}" * 30,
    "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "{{ " + "[" * 20000 + " }}",
    "{{ " + "not " * 20000 + "1 }}",
    "{% autoescape 'a'|center(1000000000) %}{% endautoescape %}",
    "{% include '/etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import popen %}",
]  # fmt: skip


@pytest.mark.parametrize("attack", [*ESCAPES, *ENDLESS])
async def test_an_expression_gets_no_further(attack: str) -> None:
    with pytest.raises(TemplateError):
        evaluate_expression(attack, ROW)
    with pytest.raises(TemplateError):
        render("{{ " + attack + " }}", ROW)


@pytest.mark.parametrize(
    "attack", ["items|map(attribute='__class__')|list", "items|map('attr', '__class__')|list"]
)
def test_an_attribute_of_each_item_is_none_at_all(attack: str) -> None:
    assert all(isinstance(each, Undefined) for each in evaluate_expression(attack, ROW))


@pytest.mark.parametrize("attack", BLOCKS)
def test_a_template_gets_no_further(attack: str) -> None:
    with pytest.raises(TemplateError):
        render(attack, ROW)


@pytest.mark.parametrize("attack", [*(expression_as_template(each) for each in ENDLESS), *BLOCKS])
def test_looking_at_a_template_runs_nothing_of_it(attack: str) -> None:
    try:
        names = template_fields(attack)
    except TemplateError:
        names = frozenset()
    assert names <= {*ROW, "a", "b"}


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
        ("'%s-%d' % (x, 7)", "text-7"),
        ("'{:>6}'.format(x)", "  text"),
        ("items|join(', ')", "a, b"),
        ("items|map('upper')", ["A", "B"]),
        ("items|select('equalto', 'z')", []),
        ("2**10", 1024),
        ("x.replace('t', 'd')|title", "Dexd"),
        ("(items|length) % 2 == 0", True),
        ("range(3)|list", [0, 1, 2]),
        ("'**%s** is %.1f' % (x, 0.25)", "**text** is 0.2"),
        ("'{{\"k\": {0!r:>8.6}}}'.format(x)", "{\"k\":   'text'}"),
        ("'%-6s|'|format(x)", "text  |"),
        ("x|indent(2)|wordwrap(3)|center(9)", "  tex\nt  "),
        ("(x * 1000).split('t')|length", 2001),
        ("n % 7 + 2**64 // n", 18446744079),
    ],
)
def test_what_prompts_are_made_of_still_works(expression: str, value: object) -> None:
    assert evaluate_expression(expression, ROW) == value


def test_a_field_of_ten_megabytes_is_shown() -> None:
    assert len(render("{{ x }}: {{ x|lower|trim }}", {"x": "A" * 10_000_000})) == 20_000_002


def test_a_loop_over_every_option_of_every_option_is_shown() -> None:
    text = "{% for a in many %}{% for b in many %}{{ a }}{{ loop.index }} {% endfor %}{% endfor %}"
    assert render(text, {"many": ["ab"] * 200}).count("ab") == 40_000
