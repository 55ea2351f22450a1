"""Which GPUs an engine of this process gets: never one that the user has hidden."""

from __future__ import annotations

import pytest

from raygen.engines.base import EngineSetupError, EngineSpec
from raygen.engines.devices import assign_gpus, visible_gpus

BIG = EngineSpec("big", "m", backend="vllm", gpus=2)
SMALL = EngineSpec("small", "m", backend="vllm", gpus=1)
CPU = EngineSpec("cpu", "m", backend="transformers", gpus=0)


def devices() -> list[tuple[str, ...]]:
    return [devices for _, devices in assign_gpus([BIG, CPU, SMALL])]


def test_engines_get_the_gpus_that_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 3,GPU-8932f937-d72c,1")
    assert devices() == [("5", "3"), (), ("GPU-8932f937-d72c",)]


def test_without_a_list_they_are_counted_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices() == [("0", "1"), (), ("2",)]


@pytest.mark.parametrize("named", ["", "-1", "4", "2,-1,3,4"])
def test_too_few_visible_gpus_are_an_error(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    with pytest.raises(EngineSetupError, match=f"need 3 GPUs, and CUDA_VISIBLE_DEVICES={named} "):
        devices()
    assert assign_gpus([CPU]) == [(CPU, ())]


def test_a_list_ends_where_cuda_stops_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,-1,3")
    assert visible_gpus() == ("2",)
