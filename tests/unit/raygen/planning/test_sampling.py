"""An engine's settings of sampling and thinking, in the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen.config.document import dump_text
from raygen.core.errors import ProblemsError
from raygen.ops.common.request_params import SamplingParams
from raygen.planning.preparation import PreparedRecipe, RecipeRequest, prepare


def prepared(folder: Path, engine: dict[str, Any], **params: Any) -> PreparedRecipe:
    """A recipe of one `generate` on one engine, as it is planned."""
    (folder / "q.jsonl").write_text('{"question": "Why?"}\n')
    recipe = {
        "recipe": "small",
        "version": 1,
        "source": {"path": "q.jsonl", "unlabelled": True},
        "task": "free_text",
        "engines": {"t": {"model": "fake", "backend": "fake", **engine}},
        "graph": {
            "asked": {
                "op": "generate",
                "from": "source",
                "engine": "t",
                "prompt": "{{ question }}",
                "into": "text",
                **params,
            }
        },
        "output": {"from": "asked", "path": "out"},
    }
    (folder / "r.yaml").write_text(dump_text(recipe))
    return prepare(RecipeRequest(folder / "r.yaml"))


def asked(plan: PreparedRecipe) -> SamplingParams:
    params = plan.plan.nodes[0].params
    assert isinstance(params, SamplingParams)
    return params


def test_an_engine_has_defaults_for_its_ops_and_an_op_wins(tmp_path: Path) -> None:
    engine = {
        "sampling": {"temperature": 0.6, "top_p": None, "top_k": 20, "logit_bias": {"7": -1}},
        "thinking": {"mode": "on", "budget": 64},
    }
    sampling = asked(prepared(tmp_path, engine, top_k=5, thinking="column")).sampling(0)
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.6, None, 5)
    assert sampling.logit_bias == {7: -1.0}
    assert sampling.thought_tokens == 64
    off = asked(prepared(tmp_path, engine, thinking={"mode": "off"}))
    assert off.sampling(0).most_tokens == off.max_tokens


def test_they_are_part_of_the_hash_and_their_absence_is_not(tmp_path: Path) -> None:
    plain = prepared(tmp_path, {}).plan.hash
    assert prepared(tmp_path, {"sampling": {}, "template_args": {}}).plan.hash == plain
    changes: list[dict[str, Any]] = [
        {"sampling": {"top_k": 20}},
        {"thinking": {"mode": "off"}},
        {"template_args": {"enable_thinking": False}},
    ]
    hashes = {prepared(tmp_path, change).plan.hash for change in changes}
    assert len(hashes | {plain}) == 4


def test_the_models_own_settings_are_read_when_planning(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    own = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "do_sample": True, "eos_token_id": 2}
    (model / "generation_config.json").write_text(json.dumps(own))
    plan = prepared(tmp_path, {"model": str(model), "sampling": "model"})
    sampling = asked(plan).sampling(0)
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.6, 0.95, 20)
    (model / "generation_config.json").write_text(json.dumps({**own, "top_k": 40}))
    assert plan.plan.engines["t"].sampling == {"temperature": 0.6, "top_p": 0.95, "top_k": 20}
    other = prepared(tmp_path, {"model": str(model), "sampling": "model"})
    assert other.plan.hash != plan.plan.hash
    (model / "generation_config.json").write_text('{"do_sample": false, "temperature": 0.6}')
    greedy = prepared(tmp_path, {"model": str(model), "sampling": "model"})
    assert asked(greedy).temperature == 0


@pytest.mark.parametrize("content", [None, '{"eos_token_id": 2}', "no JSON"])
def test_a_model_without_settings_is_a_problem_that_points_at_the_line(
    tmp_path: Path, content: str | None
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    if content is not None:
        (model / "generation_config.json").write_text(content)
    with pytest.raises(ProblemsError, match=r"generation_config\.json") as caught:
        prepared(tmp_path, {"model": str(model), "sampling": "model"})
    assert len(caught.value.problems) == 1


def test_an_endpoint_has_no_settings_of_its_model(tmp_path: Path) -> None:
    engine = {"backend": "openai", "sampling": "model"}
    address = {"base_url": "http://localhost:1/v1"}
    with pytest.raises(ProblemsError, match="temperature: null"):
        prepared(tmp_path, {**engine, "args": address})


def test_what_the_backend_cannot_do_is_a_problem_of_the_plan(tmp_path: Path) -> None:
    address = {"base_url": "http://localhost:1/v1"}
    with pytest.raises(ProblemsError, match=r"node 'asked', engine 't': extra\.messages"):
        prepared(tmp_path, {"backend": "openai", "args": address}, extra={"messages": []})


@pytest.mark.parametrize("name", ["chat_template", "messages", "tools"])
def test_template_args_are_no_way_to_another_template(tmp_path: Path, name: str) -> None:
    with pytest.raises(ProblemsError, match="raygen sets it itself"):
        prepared(tmp_path, {"template_args": {name: "x"}})


def test_wrong_values_are_problems_of_their_line(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError) as caught:
        prepared(tmp_path, {"sampling": {"top_k": -3}, "thinking": {"budget": 0}})
    messages = [problem.message for problem in caught.value.problems]
    assert any("top_k" in message for message in messages)
    assert any("budget" in message for message in messages)


@pytest.mark.parametrize(("form", "hints"), [("reasoning_effort", 1), ("template", 0)])
def test_an_endpoint_that_can_not_go_on_from_a_thought_is_a_hint(
    tmp_path: Path, form: str, hints: int
) -> None:
    args = {"base_url": "http://localhost:1/v1", "thinking": form}
    engine = {"backend": "openai", "args": args, "thinking": {"mode": "on"}}
    found = [hint.message for hint in prepared(tmp_path, engine).hints]
    assert len([hint for hint in found if "can't go on from a thought" in hint]) == hints
    assert not any("thought" in hint.message for hint in prepared(tmp_path, {}).hints)
