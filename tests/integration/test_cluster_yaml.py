"""The cluster that `ray up` makes: by Ray's own schema and checks, and beside its profile."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from raygen.recipe.profile import load_profile

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text("utf-8"))
    return loaded


@pytest.fixture
def schema() -> dict[str, Any]:
    ray = find_spec("ray")
    assert ray is not None
    assert ray.origin is not None
    path = Path(ray.origin).parent / "autoscaler" / "ray-schema.json"
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded


def test_it_fits_rays_schema(cluster: dict[str, Any], schema: dict[str, Any]) -> None:
    jsonschema.validate(cluster, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**cluster, "worker_nodes": 4}, schema)


def test_ray_takes_it_with_its_defaults(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config  # noqa: TID251

    filled = prepare_config(cluster)
    validate_config(filled)
    assert filled["available_node_types"]["a100x8"]["max_workers"] == 4
    assert "cluster_synced_files" in filled


def test_the_head_has_no_gpu_and_nodes_are_spot(cluster: dict[str, Any]) -> None:
    types = cluster["available_node_types"]
    assert types[cluster["head_node_type"]]["resources"]["GPU"] == 0
    nodes = types["a100x8"]
    assert nodes["min_workers"] == 0
    assert nodes["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}


def test_its_profile_uses_the_gpus_that_it_may_grow_to(cluster: dict[str, Any]) -> None:
    profile = load_profile(ROOT / "recipes" / "profiles" / "cluster.yaml")
    nodes = cluster["available_node_types"]["a100x8"]
    gpus = nodes["max_workers"] * nodes["resources"]["GPU"]
    each = profile.sections.engines["*"].gpus
    assert each == 1
    assert profile.workers is not None
    assert profile.replicas.max * each + profile.workers == gpus


def test_it_has_the_ray_that_raygen_is_pinned_to(cluster: dict[str, Any]) -> None:
    lock = (ROOT / "requirements" / "cpu.lock").read_text("utf-8").splitlines()
    (pin,) = (line.split()[0] for line in lock if line.startswith("ray=="))
    version = pin.removeprefix("ray==")
    for image in (cluster["docker"]["head_image"], cluster["docker"]["worker_image"]):
        assert image.startswith(f"rayproject/ray:{version}-py311")
