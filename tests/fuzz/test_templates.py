"""Whatever a stranger writes into a template ends soon, and in little memory.

Each case is rendered in a process with limits of its own; to reach one of them is a failure.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from raygen.core.limited import LimitedProcess, Limits
from tests.fuzz.cases import cases
from tests.support.template_attacks import refusals

_LIMITS = Limits(memory=700 * 1024 * 1024, cpu_s=15, wall_s=300)


@pytest.fixture(scope="module")
def child() -> Iterator[LimitedProcess]:
    with LimitedProcess("rendering a template", _LIMITS) as process:
        yield process


numbers = st.sampled_from(
    ["0", "1", "-1", "2", "9", "99", "1000", "99999", "1000000", "900000000", "999999999999999"]
)
atoms = st.one_of(
    numbers,
    st.sampled_from(
        ["x", "items", "n", "row", "mega", "a", "b", "i", "1.5", "true",
         "'a'", "''", "'\\n'", "'\u4e00'", "'%s'", "'{:>{}}'", "'<'", "range(9)", "range(99999)",
         "mega[:9999]", "'ab' * 4000000", "range(99999)|list", "items * 99999", "[x, items]",
         "{'k': items}"]
    ),
)  # fmt: skip
filters = st.sampled_from(
    ["abs", "attr", "batch", "capitalize", "center", "count", "default", "dictsort", "e", "first",
     "float", "groupby", "indent", "int", "items", "join", "last", "length", "list", "lower", "map",
     "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select", "selectattr",
     "slice", "sort", "string", "striptags", "sum", "title", "tojson", "trim", "truncate", "unique",
     "upper", "wordcount", "wordwrap", "letter", "format"]
)  # fmt: skip
methods = st.sampled_from(
    ["split", "rsplit", "splitlines", "join", "replace", "strip", "rfind", "find", "count", "index",
     "rindex", "partition", "rpartition", "center", "ljust", "zfill", "upper", "swapcase", "items",
     "keys", "values", "get", "startswith", "format"]
)  # fmt: skip
operators = st.sampled_from(
    ["+", "-", "*", "*", "/", "//", "%", "~", "~", "==", "<", "in", "not in", "and", "or", "is in"]
)
words = st.sampled_from(["'upper'", "'list'", "'string'", "'in'", "'eq'", "'k'", "0", "'replace'"])


def _combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    given = st.lists(inner | words | numbers, max_size=2).map(", ".join)
    return st.one_of(
        st.builds("({} {} {})".format, inner, operators, inner),
        st.builds("({})|{}({})".format, inner, filters, given),
        st.builds("({}).{}({})".format, inner, methods, given),
        st.builds("({})[{}:{}]".format, inner, numbers, numbers),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{'k': {}, {}: 1}}".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
    )


expressions = st.recursive(atoms, _combined, max_leaves=6)


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{{% for i in {} %}}{}{{% endfor %}}".format, expressions, inner),
        st.builds("{{% for i in {} recursive %}}{{{{ loop({}) }}}}{{% endfor %}}".format,
                  expressions, expressions),
        st.builds("{{% macro f(a) %}}{}{{% endmacro %}}{{{{ f({}) }}}}".format, inner, expressions),
        st.builds("{{% set a %}}{}{{% endset %}}".format, inner),
        st.builds("{{% filter {} %}}{}{{% endfilter %}}".format, filters, inner),
        st.builds("{{% if {} %}}{}{{% endif %}}".format, expressions, inner),
        st.builds("{{% call f({}) %}}{}{{% endcall %}}".format, expressions, inner),
        st.builds(lambda text, times: text * times, inner, st.integers(2, 60)),
        st.builds("{}{}".format, inner, inner),
    )  # fmt: skip


statements = st.recursive(
    st.one_of(
        st.builds("{{{{ {} }}}}".format, expressions),
        st.builds("{{% set a = {} %}}".format, expressions),
        st.builds("{{% set b = {} %}}".format, expressions),
        st.just("x" * 10_000),
    ),
    _nested,
    max_leaves=6,
)
templates = st.lists(statements, min_size=1, max_size=3).map("".join)


@cases("templates", templates, weight=0.1, sample=40)
def test_any_hostile_template(child: LimitedProcess, text: str) -> None:
    """No limit of the process ends it, and what refuses it isn't the want of memory."""
    assert not child.call(refusals, {"it": text})["it"].startswith("MemoryError")
