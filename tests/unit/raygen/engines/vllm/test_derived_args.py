"""What vLLM is given on a CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raygen.engines.vllm.args import vllm_arg_types
from raygen.engines.vllm.derived_args import cpu_arguments, cpu_environment


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"max_position_embeddings": 131072}, 4096),
        ({"text_config": {"max_position_embeddings": 2048}}, 2048),
        ({}, None),
    ],
)
def test_the_context_is_the_models_up_to_a_bound(
    config: dict[str, Any], expected: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert cpu_arguments(path)["max_model_len"] == expected


def test_every_argument_is_one_of_vllms(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    assert set(cpu_arguments(path)) <= set(vllm_arg_types())


def test_the_cache_is_between_one_and_four_gib() -> None:
    assert 1 <= int(cpu_environment()["VLLM_CPU_KVCACHE_SPACE"]) <= 4
