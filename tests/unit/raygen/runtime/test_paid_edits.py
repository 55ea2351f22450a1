"""What an edit of a recipe pays: the table of docs/authoring.md against a local server's counts."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from raygen.dataset.records import Call, RowResult
from raygen.engines.registry import start_engine
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.runtime.row_program import RowProgram

QUESTION = {"question": "What falls in winter?", "choices": ["sand", "snow"], "answer": 1}
RECIPE: dict[str, Any] = {
    "recipe": "edits",
    "version": 1,
    "source": {"path": "q.jsonl"},
    "task": "multiple_choice",
    "engines": {"teacher": {"model": "m", "backend": "openai"}},
    "graph": {
        "why": {"op": "sample_rationales", "from": "source", "engine": "teacher", "n": 4},
        "rate": {
            "op": "generate",
            "from": "why",
            "engine": "teacher",
            "prompt": "Rate: {{ rationale }}",
            "into": "rating",
        },
        "good": {"op": "filter", "from": "rate", "where": "rating", "reason": "bad"},
    },
    "output": {"from": "good", "path": "out"},
}
FEWER = {"by": "first", "at_most": 3}
RENAMED = {"op": "sample_rationales", "from": "source", "engine": "teacher", "n": 4}

EDITS: Mapping[str, Mapping[str, Any]] = {
    "nothing, or `description`, `output`, a profile, a `price`": {
        "description": "why it snows",
        "engines.teacher.price": {"input": 1, "output": 2},
        "output.max_failed": 0.5,
    },
    "`n` from 4 to 6": {"graph.why.n": 6},
    "`n` from 4 to 2": {"graph.why.n": 2},
    "`keep`, `pick`, `threshold`, `truncated`, `how`": {"graph.why.pick": FEWER},
    "`where` of a filter": {"graph.good.where": "rating != ''"},
    "a prompt": {"graph.rate.prompt": "Judge: {{ rationale }}"},
    "`temperature` and the like, `schema`": {"graph.why.temperature": 0.5},
    "`seed`": {"graph.rate.seed": 1},
    "the model of an engine": {"engines.teacher.model": "other"},
    "a new node at the end": {
        "graph.last": {**RECIPE["graph"]["rate"], "from": "good", "into": "last"},
        "output.from": "last",
    },
    "a new `filter` or `map` in between": {
        "graph.between": {"op": "filter", "from": "why", "where": "true", "reason": "none"},
        "graph.rate.from": "between",
    },
    "another new node in between": {
        "graph.between": {**RECIPE["graph"]["rate"], "into": "other"},
        "graph.rate.from": "between",
    },
    "a node's name": {"graph.reasons": RENAMED, "graph.rate.from": "reasons", "graph.why": None},
}


class Counting:
    """A server that counts requests and answers."""

    def __init__(self) -> None:
        self.requests = self.answers = 0

    async def reply(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests += 1
        self.answers += body["n"]
        how, seed = body["temperature"], body["seed"]
        texts = [f"Cold at {how}, {seed + k}. So the answer is: (b)" for k in range(body["n"])]
        return web.json_response(
            {
                "choices": [
                    {"index": k, "finish_reason": "stop", "text": text}
                    for k, text in enumerate(texts)
                ],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2 * body["n"]},
            }
        )


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Counting, str]]:
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    counting, app = Counting(), web.Application()
    app.router.add_post("/v1/completions", counting.reply)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield counting, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


def edited(recipe: Mapping[str, Any], edit: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a recipe with values set by their dotted paths; None takes one away."""
    copy: dict[str, Any] = json.loads(json.dumps(recipe))
    for path, value in edit.items():
        *parents, last = path.split(".")
        section = copy
        for name in parents:
            section = section[name]
        section[last] = value
        if value is None:
            del section[last]
    return copy


async def run(folder: Path, recipe: Mapping[str, Any], url: str, before: list[Call]) -> RowResult:
    """One row of a recipe, with what was recorded before."""
    recorded: dict[str, list[Call]] = {}
    for call in before:
        recorded.setdefault(call.id, []).append(call)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**recipe}, sort_keys=False))
    plan = prepare(RecipeRequest(path, {"engines.teacher.args.base_url": url})).plan
    engine = await start_engine(plan.engines["teacher"], ())
    result = await RowProgram(plan, {"teacher": engine}).run("key", QUESTION, recorded)
    await engine.close()
    assert result.error is None
    return result


def documented() -> dict[str, tuple[str, int, int]]:
    """The table: the edit -> what is paid in words, requests, answers."""
    text = Path("docs/authoring.md").read_text("utf-8")
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    return {edit: (words, int(requests), int(answers)) for edit, words, requests, answers in rows}


async def test_each_edit_pays_what_the_documentation_says(
    tmp_path: Path, server: tuple[Counting, str]
) -> None:
    counting, url = server
    (tmp_path / "q.jsonl").write_text(json.dumps(QUESTION) + "\n")
    first = await run(tmp_path, RECIPE, url, [])
    assert len(first.examples) == 4
    paid = {"the first run": (counting.requests, counting.answers)}
    for name, edit in EDITS.items():
        counting.requests = counting.answers = 0
        again = await run(tmp_path, edited(RECIPE, edit), url, list(first.calls))
        assert sum(len(json.loads(c.completions)) for c in again.calls if not c.reused) == (
            counting.answers
        ), "what is recorded as paid was paid"
        paid[name] = (counting.requests, counting.answers)
    table = documented()
    assert {name: row[1:] for name, row in table.items()} == paid
