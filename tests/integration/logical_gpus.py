"""A stand-in for `streamtrain` on a cluster whose GPUs are only counted: the student is on CPUs.

Run as the command line itself. Ray Train takes CUDA and NCCL for workers with a GPU, so that the
CPU and gloo are named here.
"""

from __future__ import annotations

import sys
from typing import Any

import ray.train.torch  # noqa: TID251

from streamtrain.cli.main import main
from streamtrain.training import ray_backend as run_ray

_Trainer = ray.train.torch.TorchTrainer


def trainer(work: Any, **how: Any) -> Any:
    """Ray's trainer, for GPUs that aren't there."""
    return _Trainer(on_cpu, torch_config=ray.train.torch.TorchConfig(backend="gloo"), **how)


def on_cpu(config: dict[str, Any]) -> str:
    """The loop on one worker."""
    import torch

    ray.train.torch.get_device = lambda: torch.device("cpu")
    return run_ray._work(config)


if __name__ == "__main__":
    ray.train.torch.TorchTrainer = trainer
    main(sys.argv[1:])
