"""In whatever a server sends, no form of a key is left, and what is no key is left as it was."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from raygen.core.secrets import Secrets
from raygen.engines.openai.reply import BadReplyError, parse_completions
from tests.fuzz.cases import cases
from tests.fuzz.strategies import anything, as_json, hostile, lines, values
from tests.support.secret_forms import FORMS, shown_forms

KEY = 'sk-"planted"/key+that=nobody&may/read'
SECRETS = Secrets([KEY])
escapes = [name for name in FORMS if "64" not in name and name != "hex"]


@cases(
    "secrets",
    anything,
    st.sampled_from(list(FORMS)),
    anything,
    st.lists(st.sampled_from(escapes), max_size=2),
    weight=1.5,
    sample=45,
    vary=(0, 2),
)
def test_any_form_of_a_key_in_any_text(
    before: str, form: str, after: str, layers: list[str]
) -> None:
    text = before + FORMS[form](KEY) + after
    for layer in layers:
        text = FORMS[layer](text)
    hidden = SECRETS.hide_in_answer(text)
    assert "***" in hidden
    assert shown_forms(KEY, hidden) == []
    assert KEY not in hidden.encode("utf-8", "replace").decode("unicode_escape", "replace")


@cases("secrets", hostile | st.text("%25\\u&amp;#x4g1;", max_size=200), vary=(0,))
def test_any_text_without_a_key(text: str) -> None:
    assert SECRETS.hide_in_answer(text) == text


@cases(
    "secrets",
    st.one_of(lines, values.map(as_json), st.binary(max_size=200)),
    weight=1.5,
    sample=45,
    vary=(0,),
)
def test_any_bytes_as_a_reply(raw: bytes) -> None:
    try:
        answers = parse_completions(json.loads(raw))
    except (BadReplyError, ValueError, RecursionError) as error:
        assert SECRETS.hide(str(error)) is not None
    else:
        assert all(SECRETS.hide_in_answer(answer.text) == answer.text for answer in answers)
