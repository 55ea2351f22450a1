import json
from typing import Any

import pytest

from raygen.checks import How, check, checker, settle

BARN = ("river bank", "barn", "a desk")
SCHEMA = {"type": "object", "required": ["age"], "properties": {"age": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("how", "answer", "gold", "correct"),
    [
        ("option", 1, 1, True),
        ("option", 0, 1, False),
        ("option", "barn", 1, True),
        ("option", "(B)", "barn", True),
        ("option", "The desk.", "C", True),
        ("option", "D", 1, False),
        ("option", True, 1, False),
        ("option", 7, 7.0, False),
        ("number", "$1,000", "1000", True),
        ("number", "-7", "7", False),
        ("number", "many", "7", False),
        ("exact", "The barn.", "barn", True),
        ("exact", "barns", "barn", False),
        ("exact", "-7", "7", False),
        ("regex", "see ISBN 12-3", r"\d\d-\d", True),
        ("regex", "12-3", r"^\d-\d$", False),
        ("json_schema", '{"age": 7}', SCHEMA, True),
        ("json_schema", '```json\n{"age": 7}\n```', json.dumps(SCHEMA), True),
        ("json_schema", {"age": "7"}, SCHEMA, False),
        ("json_schema", "age: 7", SCHEMA, False),
        ("math", "18", "18 apples", True),
        ("math", "Tuesday", r"\text{Tuesday}", True),
        *((how, None, "7", False) for how in ("option", "math", "number", "exact", "regex")),
        *((how, "", "7", False) for how in ("option", "math", "number", "exact", "regex")),
    ],
)
def test_a_checker_decides(how: How, answer: Any, gold: Any, correct: bool) -> None:
    verdict = check(answer, gold, how, BARN)
    assert (verdict.correct, verdict.how) == (correct, how)
    assert verdict.reason
    assert verdict.seconds >= 0


def test_a_verdict_says_why() -> None:
    assert check("-7", "7", "number").reason == "'-7' and '7' are not equal"
    assert check("many", "7", "number").reason == "'many' is no number"
    assert check("", "7", "math").reason == "no answer"


def test_a_pattern_without_end_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "_PATTERN_S", 0.02)
    verdict = check("a" * 60 + "!", "^(a|aa)+$", "regex")
    assert (verdict.correct, "takes more than" in verdict.reason) == (False, True)


@pytest.mark.parametrize(("how", "gold"), [("regex", "(["), ("json_schema", "[]")])
def test_what_is_no_pattern_or_schema_is_an_error(how: How, gold: str) -> None:
    with pytest.raises(ValueError, match=r"is no (regular expression|JSON schema)"):
        check("7", gold, how)


def test_what_needs_another_process_is_not_settled() -> None:
    assert settle(r"2\sqrt{3}", r"\sqrt{12}", "math") is None
    assert settle("7", {}, "json_schema") is None
    assert settle("7", "7", "code") is None
