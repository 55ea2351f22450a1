"""Whether a Python solution passes its tests, run in the sandbox.

The tests come in the forms in which they are published:

| form | what |
|---|---|
| a text | Python that runs after the solution: `assert f(2) == 4` |
| a list of texts | the same, one test each |
| a list of {input, output} | texts for standard input, and what must be printed |
| {inputs: [...], outputs: [...]} | the same as two lists |
| {fn_name: f, inputs: [[...], ...], outputs: [...]} | arguments, and what must be returned |

A text that holds one of these forms as JSON is read as such. What is printed is compared word by
word, what is returned as JSON values with floats to one part in 10^9; both outside of the sandbox.
Asserts run in the solution's own process, which can fool them if it sets out to. The first test
that fails ends it.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from raygen.checks.sandbox import ProgramEnd, ProgramJob, ProgramLimits, run_program
from raygen.checks.verdict import Verdict

_FENCED = re.compile(r"```[ \t]*(\w*)[^\n]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_PYTHON = ("", "py", "python", "python3")
_TOLERANCE = 1e-9


class TestsError(ValueError):
    """Tests in none of the forms that can be run."""

    __test__ = False


def check_code(
    solution: str,
    tests: Any,
    limits: ProgramLimits = ProgramLimits(),  # noqa: B008 - frozen
) -> Verdict:
    """Run a solution, which may be a whole completion, against its tests.

    `limits` hold for each run of a program: all asserts or calls, or one {input, output}. Raises
    TestsError where `tests` has no known form, and SandboxError where no program can be fenced in.
    """
    started = time.perf_counter()
    program = read_program(solution)
    correct, reason = _outcome(program, _form(tests), limits) if program else (False, "no answer")
    return Verdict(correct, "code", reason, time.perf_counter() - started)


def read_program(text: str) -> str:
    """Return the last fenced block of Python in a text; all of it where it has no fence."""
    blocks = [code for language, code in _FENCED.findall(text) if language.casefold() in _PYTHON]
    return blocks[-1] if blocks else text.strip() and text


def _form(tests: Any) -> Any:
    if not isinstance(tests, str) or tests.strip()[:1] not in ("[", "{"):
        return tests
    try:
        return json.loads(tests)
    except (ValueError, RecursionError):
        return tests


def _outcome(program: str, tests: Any, limits: ProgramLimits) -> tuple[bool, str]:
    if isinstance(tests, str) and tests.strip():
        return _by_asserts(program, [tests], limits)
    if isinstance(tests, Mapping) and "inputs" in tests and "outputs" in tests:
        inputs, outputs = tests["inputs"], tests["outputs"]
        if (
            isinstance(inputs, list)
            and isinstance(outputs, list)
            and len(inputs) == len(outputs) > 0
        ):
            if tests.get("fn_name"):
                return _by_calls(program, str(tests["fn_name"]), inputs, outputs, limits)
            return _by_printing(program, list(zip(inputs, outputs, strict=True)), limits)
    if isinstance(tests, list | tuple) and tests:
        if all(isinstance(test, str) for test in tests):
            return _by_asserts(program, list(tests), limits)
        if all(isinstance(test, Mapping) and {"input", "output"} <= set(test) for test in tests):
            pairs = [(test["input"], test["output"]) for test in tests]
            return _by_printing(program, pairs, limits)
    raise TestsError(
        f"{str(tests)[:80]!r} is no tests; expected Python with asserts, a list of them, a list of "
        "{input, output}, or {inputs, outputs} with fn_name where a function is called"
    )


def _by_asserts(program: str, tests: Sequence[str], limits: ProgramLimits) -> tuple[bool, str]:
    end = run_program(ProgramJob(program, tests=tests), limits)
    fault = _fault(end)
    if fault is not None or end.report is None:
        return False, fault or ""
    if "failure" in end.report:
        return False, f"test {end.report['passed'] + 1} of {len(tests)}: {end.report['failure']}"
    return _passed(len(tests))


def _by_calls(
    program: str,
    function: str,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    limits: ProgramLimits,
) -> tuple[bool, str]:
    calls = [each if isinstance(each, list) else [each] for each in inputs]
    end = run_program(ProgramJob(program, function=function, calls=calls), limits)
    fault = _fault(end)
    if fault is not None or end.report is None:
        return False, fault or ""
    results = end.report["results"]
    for index, (result, expected) in enumerate(zip(results, outputs, strict=False), 1):
        which = f"test {index} of {len(outputs)}"
        if "error" in result:
            return False, f"{which}: {result['error']}"
        if not _same_value(result["value"], expected):
            return False, f"{which}: {_short(result['value'])}, not {_short(expected)}"
    return _passed(len(outputs))


def _by_printing(
    program: str, pairs: Sequence[tuple[Any, Any]], limits: ProgramLimits
) -> tuple[bool, str]:
    for index, (given, expected) in enumerate(pairs, 1):
        which = f"test {index} of {len(pairs)}"
        end = run_program(ProgramJob(program, stdin=_text(given)), limits)
        fault = _fault(end)
        if fault is not None:
            return False, f"{which}: {fault}"
        if end.stdout.split() != _text(expected).split():
            return False, f"{which}: printed {_short(end.stdout)}, not {_short(_text(expected))}"
    return _passed(len(pairs))


def _fault(end: ProgramEnd) -> str | None:
    """Say what ended a program before its tests; None where nothing did."""
    if end.ended_by == "time":
        return "takes too much time"
    if end.ended_by == "output":
        return "writes too much"
    if end.report is None:
        return f"ended by {end.ended_by} before its end was reached (exit code {end.code})"
    error = end.report["error"]
    return None if error is None else str(error)


def _passed(count: int) -> tuple[bool, str]:
    return True, f"{count} of {count} tests pass"


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value)


def _same_value(value: Any, expected: Any) -> bool:
    """Compare JSON values; a lone value equals the one-item list that some data wraps it in."""
    return _equal(value, expected) or (
        isinstance(expected, list) and len(expected) == 1 and _equal(value, expected[0])
    )


def _equal(value: Any, expected: Any) -> bool:
    if isinstance(value, bool) or isinstance(expected, bool):
        return value is expected
    if isinstance(value, int | float) and isinstance(expected, int | float):
        exact = isinstance(value, int) and isinstance(expected, int)
        return value == expected if exact else math.isclose(value, expected, rel_tol=_TOLERANCE)
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(_equal, value, expected))
    if isinstance(value, dict) and isinstance(expected, dict):
        return value.keys() == expected.keys() and all(
            _equal(value[key], expected[key]) for key in value
        )
    return bool(value == expected)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
