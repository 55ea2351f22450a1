"""Templates that take memory or time without end, each by another way.

`refusals` renders them all in one process, under limits that none of them may come near.
"""

from __future__ import annotations

from typing import Any

from raygen.core import TemplateError, render, template_fields

ROW: dict[str, Any] = {
    "x": "text", "items": ["a", "b"], "n": 10**9, "row": {"k": 1}, "mega": "ab" * 500_000,
}  # fmt: skip


def _shown(expression: str) -> str:
    return "{{ " + expression + " }}"


_DAG = "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40

ATTACKS: dict[str, str] = {
    # a loop over text, and formats
    "loop over text": "{% for i in range(90000) %}" + "x" * 10_000 + "{% endfor %}",
    "loop over text in a macro": "{% macro f() %}{% for i in range(90000) %}"
    + "x" * 10_000
    + "{% endfor %}{% endmacro %}{{ f()|length }}",
    "loop over text in a set block": "{% set a %}{% for i in range(90000) %}"
    + "x" * 10_000
    + "{% endfor %}{% endset %}{{ a|length }}",
    "loop over text in a call block": "{% macro f() %}{{ caller()|length }}{% endmacro %}"
    "{% call f() %}{% for i in range(90000) %}" + "x" * 10_000 + "{% endfor %}{% endcall %}",
    "loop over text in a filter block": "{% filter upper %}{% for i in range(90000) %}"
    + "x" * 10_000
    + "{% endfor %}{% endfilter %}",
    "format method": _shown("'{0}{0}{0}{0}'.format(mega * 40)|length"),
    "format width": _shown("'{:>{}}'.format('a', '900000000')|length"),
    "format map": _shown("'{x:>900000000}'.format_map({'x': 1})|length"),
    "format by item": _shown("'a'['format']()"),
    "format by attr": _shown("('{:>900000000}'|attr('format'))(1)|length"),
    "format by map": _shown("(['{:>900000000}']|map(attribute='format')|first)(1)|length"),
    "format in map": _shown("['%900000000d']|map('format', 1)|first|length"),
    "percent": _shown("('%s' * 1000) % ((mega,) * 1000)"),
    "percent of a column": _shown("x % 1"),
    "percent width": _shown("('%900000000d' ~ '') % 1"),
    "percent of a list": _shown("(['%900000000d']|first) % 1"),
    "format filter": _shown("'%900000000d'|format(1)|length"),
    # numbers and searches in one call of C
    "powers": _shown("7**8000000"),
    "power of a column": _shown("n**n"),
    "squares": "{% set a = 99999999999 %}" + "{% set a = a * a %}" * 40 + "{{ a }}",
    "number of a text": _shown("('f' * 1000000)|int(0, 16) // 7"),
    "number of a long text": _shown("('9' * 4000)|int * (('9' * 4000)|int)"),
    "long literal": _shown("9" * 4000 + " // 7"),
    "hex literal": _shown("0x" + "f" * 100_000 + " // 7"),
    "membership": "{% set a = range(99999)|list %}{% for i in a %}{{ 'z' in a }}{% endfor %}",
    "membership by test": "{% set a = range(99999)|list %}"
    "{% for i in a %}{{ 'z' is in a }}{% endfor %}",
    "membership in text": "{% for i in range(100000) %}{{ ('a' * 50 ~ i) in mega }}{% endfor %}",
    "selection by membership": _shown("range(100000)|select('in', range(100000)|list)|list|length"),
    # what lies near them
    "sum of lists": _shown("range(100000)|batch(1)|list|sum(start=[])|length"),
    "sum of sums": "{% for i in range(99999) %}{{ range(99999)|sum }}{% endfor %}",
    "sorts": "{% for i in range(99999) %}{{ mega|sort|first }}{% endfor %}",
    "reverse search": _shown("('a' * 9000000).rfind('ab' ~ 'a' * 900000)"),
    "reverse search index": _shown("('a' * 9000000).rindex('ab' ~ 'a' * 900000)"),
    "reverse split": _shown("('a' * 9000000).rsplit('ab' ~ 'a' * 900000)|length"),
    "reverse partition": _shown("('a' * 9000000).rpartition('ab' ~ 'a' * 900000)|length"),
    "strip of all": _shown("(mega * 10).strip(range(100000)|join ~ mega)|length"),
    "trim of all": _shown("('a' * 9000000)|trim('\u4e00' * 900000 ~ 'a')|length"),
    "strip of tags": _shown("('<!-- -->' * 1000000)|striptags|length"),
    "wide centre": _shown("x|center(900000000)|length"),
    "wide pad": _shown("x.ljust(900000000)|length"),
    "wide zeros": _shown("x.zfill(900000000)|length"),
    "wide tabs": _shown("'\\t'.expandtabs(900000000)|length"),
    "wide indent": _shown("('a\\n' * 100000)|indent(10000)|length"),
    "text indent": _shown("('a\\n' * 100000)|indent(mega)|length"),
    "line indent": _shown("('\\x0b' * 900000)|indent(1000, blank=true)|length"),
    "wordwrap": _shown("('a ' * 50000)|wordwrap(1, wrapstring=mega)|length"),
    "long wordwrap": _shown("(mega * 10)|wordwrap(1)|length"),
    "json indent": _shown("[[1]]|tojson(900000000)|length"),
    "json indent of text": _shown("[[1]]|tojson(mega)|length"),
    "json of a dag": _DAG + "{{ a|tojson|length }}",
    "text of a dag": _DAG + "{{ a }}",
    "comparison of dags": _DAG
    + _DAG.replace("{% set a = [a, a] %}", "{% set b = [b, b] %}").replace("set a", "set b")
    + "{{ a == b }}",
    "dag by batch": "{% set a = [1] %}" + "{% set a = a|batch(3, a)|list %}" * 60 + "{{ a }}",
    "dag by slice": "{% set a = [1] %}" + "{% set a = a|slice(3, a)|list %}" * 60 + "{{ a }}",
    "dag by plus": "{% set a = [1] %}" + "{% set a = [a + a] %}" * 60 + "{{ a }}",
    "dag by times": "{% set a = [1] %}" + "{% set a = [a * 9] %}" * 60 + "{{ a }}",
    "dag by mapping": "{% set a = {1: 2} %}" + "{% set a = {1: a, 2: a} %}" * 60 + "{{ a }}",
    "dag by default": "{% set a = [1] %}"
    + "{% set a = [nothing|default(a), a|first, a] %}" * 60
    + "{{ a }}",
    "dag by groups": "{% set a = ['x'] %}"
    + "{% set a = [a, a]|groupby(0)|list %}" * 60
    + "{{ a }}",
    "dag as key": "{% set a = (1,) %}" + "{% set a = (a, a) %}" * 60 + "{{ row[a] }}",
    "dag in set": "{% set a = (1,) %}" + "{% set a = (a, a) %}" * 60 + "{{ [a, a]|unique|list }}",
    "kept lists": "".join("{% set a" + str(i) + " = mega[:99999]|list %}" for i in range(99))
    + "{{ a0[0] }}",
    "kept texts": "".join("{% set a" + str(i) + " = mega * 9 ~ " + str(i) + " %}" for i in range(6))
    + "{{ a0[0] }}",
    "kept upper": "".join("{% set a" + str(i) + " = mega.upper() %}" for i in range(60))
    + "{{ a0[0] }}",
    "kept slices": "".join("{% set a" + str(i) + " = mega[1:] %}" for i in range(60))
    + "{{ a0[0] }}",
    "kept replies": "".join("{% set a" + str(i) + " = mega.replace('a', 'c') %}" for i in range(60))
    + "{{ a0[0] }}",
    "words": _shown("('a ' * 30000000).split()|length"),
    "letters": _shown("('\u4e00' * 30000000)|list|length"),
    "lines": _shown("('\\n' * 40000000).splitlines()|length"),
    "letters by join": _shown("'-'.join('\u4e00' * 30000000)|length"),
    "letters by unpacking": _shown("range(*('1' * 30000000))"),
    "join": _shown("(range(10000)|list)|join('b' * 1000000)|length"),
    "join by keyword": _shown("(range(10000)|list)|join(d='b' * 1000000)|length"),
    "join of values": _shown("{1: 2, 3: 4, 5: 6, 7: 8}.values()|join(mega * 20)|length"),
    "join of text": _shown("mega|join(mega)|length"),
    "join method": _shown("mega.join(range(10000)|map('string')|list)|length"),
    "replace": _shown("mega|replace('a', mega)|length"),
    "replace nothing": _shown("mega.replace('', mega)|length"),
    "replace in map": _shown("[mega]|map('replace', 'a', mega)|first|length"),
    "times": _shown("x * n"),
    "times list": _shown("[0] * n"),
    "times tuple": _shown("(0,) * n"),
    "times of a product": _shown("'a' * (99999 * 99999)"),
    "concatenations": "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40,
    "additions": "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a + a %}" * 40,
    "additions of markup": "{% set a = x|tojson %}" + "{% set a = a + a %}" * 40,
    "escapes of markup": _shown("(x|tojson + '<' * 9000000) + '<' * 9000000 + '<' * 9000000"),
    "format of markup": _shown("(x|tojson).format(1)"),
    "percent of markup": _shown("('%900000000d'|tojson) % 1"),
    "join of markup": _shown("(x|tojson).join(['<' * 9000000] * 2)"),
    "blocks": "{% set a = 'xxxxxxxxxx' %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40,
    "macros": "{% macro a() %}"
    + "x" * 1000
    + "{% endmacro %}"
    + "".join(
        f"{{% macro {b}() %}}" + f"{{{{ {a}() }}}}" * 10 + "{% endmacro %}"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "{{ i() }}",
    "silent macros": "{% macro a() %}{% endmacro %}"
    + "".join(
        f"{{% macro {b}() %}}" + f"{{{{ {a}() }}}}" * 30 + "{% endmacro %}"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "{{ i() }}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "recursion with a text": "{% macro f(a) %}{{ f(a[1:]) }}{% endmacro %}{{ f(mega * 9) }}",
    "recursive loop": "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "wide recursive loop": "{% for i in range(9) recursive %}"
    "{% if loop.depth < 30 %}{{ loop(range(9)) }}{% endif %}{% endfor %}",
    "nested loops": "{% for i in range(999) %}{% for j in range(999) %}{% endfor %}{% endfor %}",
    "loop filters": "{% for i in range(99999) if i in range(99999)|list %}{% endfor %}",
    "nested maps": "{% for i in range(99999) %}{{ range(9999)|map('string')|list }}{% endfor %}",
    "cycles": "{% for i in range(99999) %}{{ loop.cycle(*range(99999)) }}{% endfor %}",
    "range": _shown("range(10**9)|list|length"),
    "range of a column": _shown("range(n)|list|length"),
    "batch": _shown("items|batch(900000000, 'x')|list|length"),
    "slice": _shown("items|slice(900000000)|list|length"),
    "round": _shown("1.5|round(900000000, 'floor')"),
    "html": _shown("('<' * 40000000)|e|length"),
    "markup": _shown("('<' * 9000000)|e + '<' * 9000000 ~ ('<' * 9000000)|e"),
    "urls": _shown("('http://a.b ' * 100000)|urlize|length"),
    "percent codes": _shown("('\u4e00' * 9000000)|urlencode|length"),
    "pretty print": _DAG + "{{ a|pprint|length }}",
    "encode": _shown("mega.encode('utf-32')|length"),
    "translate": _shown("mega.translate({97: mega})|length"),
    "bytes": _shown("(1).to_bytes(900000000)|length"),
    "self": "{% block a %}{{ self.a() }}{{ self.a() }}{% endblock %}",
    "deep brackets": _shown("(" * 500 + "1" + ")" * 500),
    "deep list": _shown("[" * 15000),
    "deep negation": _shown("not " * 15000 + "1"),
    "deep filters": _shown("x" + "|upper" * 5000),
    "deep attributes": _shown("x" + ".a" * 5000),
    "deep sums": _shown("1" + "+1" * 9000),
    "many words": "{{ x }}" * 20_000,
    "many branches": "{% if x %}" * 3000 + "{% endif %}" * 3000,
}


def refusals(attacks: dict[str, str]) -> dict[str, str]:
    """Return what refuses each template; "" for one that is rendered."""
    refused = dict.fromkeys(attacks, "")
    for name, text in attacks.items():
        try:
            template_fields(text)
            render(text, ROW)
        except TemplateError as error:
            refused[name] = f"{type(error.__cause__).__name__}: {error}"
    return refused
