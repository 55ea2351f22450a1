from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from raygen.config.document import dump_text, parse_text
from raygen.recipe.params import escape_references, fill_references, substitute_params
from raygen.recipe.schema import Scalar

values: st.SearchStrategy[Scalar] = (
    st.integers() | st.booleans() | st.text(max_size=9) | st.floats(allow_nan=False)
)
names = st.sampled_from(["a", "b", "long_name"])
texts = st.lists(
    st.sampled_from(["$", "{", "}", "${", "$$", "a", "b", " ", "${a}", "$${a}"]) | st.text()
).map("".join)


@given(texts, st.dictionaries(names, values))
def test_an_escaped_text_is_filled_back_into_itself(text: str, params: dict[str, Scalar]) -> None:
    assert fill_references(escape_references(text), params) == text


@given(names, values, texts)
def test_a_lone_reference_keeps_its_type_and_others_become_text(
    name: str, value: Scalar, text: str
) -> None:
    assert fill_references(f"${{{name}}}", {name: value}) is value
    around = fill_references(escape_references(text) + f" ${{ {name} }}.", {name: value})
    written = str(value).lower() if isinstance(value, bool) else str(value)
    assert around == f"{text} {written}."


@given(st.recursive(texts, lambda c: st.lists(c, max_size=3) | st.dictionaries(texts, c)))
def test_substitution_finds_every_fault_and_raises_nothing(data: Any) -> None:
    document = parse_text(dump_text({"params": {"a": {}}, "x": data}), "f")
    result, problems, unfilled = substitute_params(document, {"a": 1})
    assert result.data["params"] == {"a": {}}
    assert len(unfilled) <= len(problems)
    assert bool(unfilled) == bool(problems)
