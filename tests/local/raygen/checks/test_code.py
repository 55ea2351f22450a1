"""Solutions run against their tests, in the forms that data sets publish them in."""

import json
from typing import Any

import pytest

from raygen.checks import ProgramLimits, TestsError, check_code
from raygen.checks.code import read_program

ADD = "def add(a, b):\n    return a + b"
PRINT_SUM = "print(sum(map(int, input().split())))"
METHOD = "class Solution:\n    def add(self, a, b):\n        return a + b"

FORGED = """
import os
for number in range(3, 64):
    try:
        os.write(number, b'{"error": null, "passed": 1}')
    except OSError:
        pass
os._exit(0)
"""


@pytest.mark.parametrize(
    ("solution", "tests", "correct", "reason"),
    [
        (ADD, "assert add(1, 2) == 3", True, "1 of 1 tests pass"),
        (ADD, ["assert add(1, 2) == 3", "assert add(0, 0) == 0"], True, "2 of 2 tests pass"),
        (ADD, ["assert add(1, 2) == 3", "assert add(1, 1) == 3"], False, "test 2 of 2: Assertion"),
        (ADD, "def check(candidate):\n    assert candidate(1, 2) == 3\ncheck(add)", True, "1 of 1"),
        (f"It adds:\n```python\n{ADD}\n```\nDone.", "assert add(1, 2) == 3", True, "1 of 1"),
        (PRINT_SUM, [{"input": "1 2\n", "output": "3\n"}], True, "1 of 1"),
        (PRINT_SUM, {"inputs": ["1 2", "3 4"], "outputs": ["3", "8"]}, False, "test 2 of 2: print"),
        (ADD, {"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]}, True, "1 of 1"),
        (
            METHOD,
            json.dumps({"fn_name": "add", "inputs": [[1, 2]], "outputs": [[3]]}),
            True,
            "1 of",
        ),
        (ADD, {"fn_name": "add", "inputs": [[0.1, 0.2]], "outputs": [0.3]}, True, "1 of 1"),
        (ADD, {"fn_name": "add", "inputs": [[1, 2]], "outputs": [4]}, False, "3, not 4"),
        (ADD, {"fn_name": "sub", "inputs": [[1, 2]], "outputs": [4]}, False, "KeyError"),
        ("def add(a, b:", "assert add(1, 2) == 3", False, "SyntaxError"),
        ("", "assert True", False, "no answer"),
    ],
)
def test_a_solution_passes_or_the_first_test_that_fails_is_named(
    solution: str, tests: Any, correct: bool, reason: str
) -> None:
    verdict = check_code(solution, tests)
    assert verdict.correct is correct, verdict.reason
    assert reason in verdict.reason
    assert verdict.how == "code"


@pytest.mark.parametrize(
    ("solution", "reason"),
    [
        ("import sys; sys.exit(0)", "NameError"),
        ("import os; os._exit(0)", "before its end was reached"),
        ("print('1 of 1 tests pass')\nwhile True: pass", "too much time"),
        ("def add(a, b): raise SystemExit", "SystemExit"),
        (FORGED, "before its end was reached"),
    ],
)  # fmt: skip
def test_a_solution_passes_no_test_by_ending_before_it(solution: str, reason: str) -> None:
    limits = ProgramLimits(cpu_s=2, wall_s=3)
    verdict = check_code(solution, "assert add(1, 2) == 3", limits)
    assert not verdict.correct
    assert reason in verdict.reason


@pytest.mark.parametrize("tests", [None, "", [], {}, 7, [1, 2], {"inputs": [1], "outputs": []}])
def test_tests_of_no_known_form_are_an_error(tests: Any) -> None:
    with pytest.raises(TestsError, match=r"is no tests; expected"):
        check_code(ADD, tests)


def test_the_last_python_block_is_the_program() -> None:
    text = "```python\na = 1\n```\nor\n```py\na = 2\n```\nrun it:\n```bash\npython a.py\n```"
    assert read_program(text) == "a = 2"
    assert read_program("a = 3") == "a = 3"
    assert read_program("```python\na = 4\n").strip() == "a = 4"
