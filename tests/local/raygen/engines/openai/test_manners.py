"""Whole previews against a provider with manners of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import raygen
from raygen.engines.base import EngineUnavailableError
from tests.support.provider import Manners, error, provider

QUESTION = {"choices": ["cat", "dog", "cow", "hen"], "answer": 1}


def previewed(folder: Path, url: str, rows: int = 4, **params: Any) -> Any:
    """What `raygen preview` shows of a recipe that samples rationales at this address."""
    source = [{"question": f"Which animal barks, case {i}?", **QUESTION} for i in range(rows)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in source))
    args = {"base_url": url, "max_concurrency": 4}
    recipe = {
        "recipe": "manners",
        "version": 1,
        "source": {"path": "rows.jsonl"},
        "task": "multiple_choice",
        "engines": {"teacher": {"model": "m", "backend": "openai", "args": args}},
        "graph": {
            "asked": {
                "op": "sample_rationales",
                "from": "source",
                "engine": "teacher",
                "chat": True,
                "max_tokens": 64,
                **params,
            }
        },
        "output": {"from": "asked", "path": "out"},
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    return raygen.load(str(path)).preview(n=rows)


def endings(shown: Any) -> list[str]:
    return [row.result.status for row in shown.rows]


@pytest.mark.parametrize("name", ["top_p", "seed", "n", "temperature"])
def test_a_refused_setting_costs_no_row_and_is_said(tmp_path: Path, name: str) -> None:
    with provider(Manners(refused=frozenset({name}))) as server:
        shown = previewed(tmp_path, server.url, n=2, temperature=0.7)
    assert endings(shown) == ["kept"] * 4
    assert any(name in note or name == "n" for note in shown.preview.notes)


def test_one_flagged_row_is_dropped_and_the_others_are_kept(tmp_path: Path) -> None:
    flagged = (403, {"error": {"code": 403, "message": "the input was flagged by moderation"}})
    with provider(Manners(flagged={"case 1": flagged}, models=403)) as server:
        shown = previewed(tmp_path, server.url)
    assert endings(shown) == ["kept", "dropped", "kept", "kept"]
    assert [reject.reason for reject in shown.rows[1].result.rejects] == ["refused"]


def test_a_refusal_that_every_row_meets_ends_with_the_servers_words(tmp_path: Path) -> None:
    no_credit = (400, error("no credit is left on this account"))
    with provider(Manners(everybody=no_credit)) as server:
        with pytest.raises(EngineUnavailableError, match="no credit is left"):
            previewed(tmp_path, server.url)
        server.manners.everybody = None
        assert endings(previewed(tmp_path, server.url)) == ["kept"] * 4
