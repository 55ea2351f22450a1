"""FSDP2 on two real CPU processes: as one rank trains, and as two do that share nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from streamtrain.config.student import StudentConfig
from streamtrain.data.stream import Cursor
from streamtrain.data.tokenization import make_example_tokenizer
from streamtrain.models.student import ModelSource, load_student, model_source, save_final
from streamtrain.models.teacher import load_teacher
from streamtrain.training import checkpoint
from streamtrain.training.communicator import Communicator, ProcessGroup, SingleProcess
from streamtrain.training.progress import TrainProgress
from streamtrain.training.sharding import gathered_weights
from streamtrain.training.step import TrainStep
from tests.local.streamtrain.models.test_seq2seq import family
from tests.local.streamtrain.training.test_step import rows

pytestmark = pytest.mark.timeout(600)

CPU = torch.device("cpu")
LABELS = ["none", "some", "all"]
CASES: dict[str, dict[str, Any]] = {
    "full": {"tune": {"method": "full"}},
    "lora": {"tune": {"method": "lora"}},
    "tokens": {"tune": {"method": "lora"}, "data": {"tokens": ["<why>"]}},
    "classes": {
        "kind": "classifier",
        "tune": {"method": "lora"},
        "data": {"labels": LABELS},
        "objective": {"loss": "ce"},
    },
    "layers": {
        "kind": "classifier",
        "tune": {"method": "full"},
        "data": {"labels": LABELS},
        "objective": {
            "loss": "kd",
            "alpha": 1,
            "beta": 3,
            "layers": [[1, 2], [2, 2]],
            "soft_labels": "teacher",
            "teacher": {"model": "t"},
        },
    },
    "seq2seq": {"kind": "seq2seq", "tune": {"method": "full"}},
    "packed": {
        "kind": "seq2seq",
        "tune": {"method": "lora"},
        "data": {"pack": True},
        "optim": {"lr": 1e-2, "gradient_checkpointing": True},
    },
    "recomputed": {
        "tune": {"method": "lora"},
        "optim": {"lr": 1e-2, "gradient_checkpointing": True},
    },
}

QUICK = ("full", "packed")
"""A student that is trained whole, and one by an adapter; the others run in `make test-long`."""

SLOW: dict[str, dict[str, Any]] = {
    "compiled": {"tune": {"method": "lora"}, "optim": {"lr": 1e-2, "compile": True}},
    "compiled, packed": {
        "kind": "seq2seq",
        "tune": {"method": "full"},
        "data": {"pack": True},
        "optim": {"lr": 1e-2, "compile": True},
    },
}

Models = dict[str, str]
"""A folder by kind of student, and that of a teacher."""


@dataclass(frozen=True)
class Trained:
    """What three steps gave, the next step's loss after a checkpoint, and how many graphs were
    compiled."""

    losses: list[float]
    next_loss: float
    weights: dict[str, torch.Tensor]
    graphs: int


def settings_of(case: str) -> dict[str, Any]:
    return {**CASES, **SLOW}[case]


def batch(case: str) -> list[dict[str, Any]]:
    """Five rows: three passes on one rank and two on the other."""
    found = rows(5)
    if settings_of(case).get("kind") == "classifier":
        return [
            {
                "id": row["id"],
                "text": row["question"],
                "label": LABELS[number % 3],
                "view": "positive",
            }
            for number, row in enumerate(found)
        ]
    return found


def train_step_of(
    models: Models, case: str, parallel: str, communicator: Communicator
) -> TrainStep:
    given = settings_of(case)
    model = models[given.get("kind", "causal")]
    data = {"student": "tiny", "version": 1, "model": model, "parallel": parallel}
    config = StudentConfig.model_validate({**data, "optim": {"lr": 1e-2}, **given})
    torch.manual_seed(0)
    student = load_student(model_source(config), config.tune, CPU, config.data.new_tokens)
    teacher = None
    if config.objective.beta > 0:
        source = ModelSource(models["teacher"], kind="classifier")
        teacher = load_teacher(source, LABELS, student.tokenizer, CPU)
    return TrainStep(
        student, make_example_tokenizer(config, student.tokenizer), config, communicator, teacher
    )


def trained(
    models: Models, case: str, parallel: str, communicator: Communicator, folder: Path
) -> Trained:
    torch._dynamo.utils.counters.clear()
    train_step = train_step_of(models, case, parallel, communicator)
    copied = (
        train_step_of(models, case, "ddp", SingleProcess()).student
        if train_step.student.sharded
        else None
    )
    copied = copied if communicator.rank == 0 else None
    losses = [train_step.step(batch(case), number, 1.0).loss for number in range(3)]
    progress = TrainProgress({}, Cursor(), 3)
    checkpoint.save(
        folder, train_step.student, train_step.optimizer, progress, communicator.rank == 0
    )
    if isinstance(communicator, SingleProcess):
        save_format_1(folder.parent / "format 1", train_step)
    with gathered_weights(train_step.student, copied):
        whole = (copied or train_step.student).trainable()
        weights = {name: value.detach().clone() for name, value in whole}
    next_loss = train_step.step(batch(case), 3, 1.0).loss
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    return Trained(losses, next_loss, weights, graphs)


def save_format_1(folder: Path, train_step: TrainStep) -> None:
    """Write a checkpoint as version 0.1.0 did, which gathered whole tensors on one rank."""
    target = folder / "step-00000003"
    target.mkdir(parents=True)
    student, optimizer = train_step.student, train_step.optimizer
    weights = {name: p.detach().contiguous() for name, p in student.trainable()}
    save_file(weights, target / "trained.safetensors")
    torch.save(optimizer.state_dict(), target / "optimizer.pt")
    (target / "progress.json").write_text(json.dumps({"version": 1}))
    (folder / "latest").write_text("step-00000003\n")


def resumed(
    models: Models, case: str, parallel: str, communicator: Communicator, folder: Path
) -> float:
    train_step = train_step_of(models, case, parallel, communicator)
    found = checkpoint.latest(folder)
    assert found is not None
    checkpoint.load_weights(found, train_step.student, train_step.optimizer)
    return train_step.step(batch(case), 3, 1.0).loss


def work(rank: int, models: Models, folder: str, cases: Sequence[str]) -> None:
    """One of the two processes: the cases, sharded and not, and one rank's checkpoint resumed."""
    import streamtrain.training.step

    streamtrain.training.step._POSITIONS = {"cpu": 100}
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    communicator, found = ProcessGroup(CPU), {}
    for case in cases:
        at = Path(folder) / case
        for parallel in ("fsdp", "ddp"):
            # Sharded, both write into one folder; else rank 0 alone writes.
            found[case, parallel] = trained(models, case, parallel, communicator, at / parallel)
        found[case, "resumed"] = resumed(models, case, "fsdp", communicator, at / "alone")
        found[case, "format 1"] = resumed(models, case, "fsdp", communicator, at / "format 1")
    if rank == 0:
        torch.save(found, f"{folder}/found")
    torch.distributed.destroy_process_group()


def made(tiny_model: Path, folder: Path) -> Models:
    """A tiny model of each kind."""
    tiny, teacher = str(tiny_model), folder / "teacher"
    torch.manual_seed(1)
    source = ModelSource(tiny, kind="classifier", labels=tuple(LABELS))
    save_final(load_student(source, None, CPU), teacher)
    seq2seq = str(family("t5", folder, tiny_model))
    return {"causal": tiny, "classifier": tiny, "seq2seq": seq2seq, "teacher": str(teacher)}


Outcomes = Callable[[str], dict[Any, Any]]
"""What one rank and two ranks gave, by case; `folder` has their checkpoints."""


def outcomes_of(tiny_model: Path, folder: Path, cases: Sequence[str]) -> dict[Any, Any]:
    """Train the cases on one rank and on two."""
    models = made(tiny_model, folder)
    alone = {
        (case, "alone"): trained(models, case, "ddp", SingleProcess(), folder / case / "alone")
        for case in cases
    }
    torch.multiprocessing.spawn(work, (models, str(folder), cases), nprocs=2)
    both = torch.load(folder / "found", weights_only=False)
    return {**alone, **both, "folder": folder, "models": models}


@pytest.fixture(scope="module")
def outcomes(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Those of the case's group: the ranks of a group are started once."""
    groups = (QUICK, tuple(case for case in CASES if case not in QUICK), tuple(SLOW))

    @cache
    def of_group(cases: tuple[str, ...]) -> dict[Any, Any]:
        return outcomes_of(tiny_model, tmp_path_factory.mktemp("ranks"), cases)

    return lambda case: of_group(next(cases for cases in groups if case in cases))


ALL = [
    *QUICK,
    *(
        pytest.param(case, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])
        for case in (*CASES, *SLOW)
        if case not in QUICK
    ),
]


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("parallel", ["fsdp", "ddp"])
def test_two_ranks_learn_what_one_does(outcomes: Outcomes, case: str, parallel: str) -> None:
    found = outcomes(case)
    alone, both = found[case, "alone"], found[case, parallel]
    assert bool(both.graphs) is (case in SLOW)
    assert both.losses == pytest.approx(alone.losses, rel=1e-4)
    assert alone.losses[0] != pytest.approx(alone.losses[2], rel=1e-3)
    assert both.weights.keys() == alone.weights.keys()
    for name, value in alone.weights.items():
        torch.testing.assert_close(both.weights[name], value, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("case", ALL)
def test_a_checkpoint_goes_on_at_another_number_of_ranks(outcomes: Outcomes, case: str) -> None:
    found = outcomes(case)
    folder = found["folder"] / case / "fsdp"
    (saved,) = folder.glob("step-*")
    assert len(list(saved.glob("shard-*"))) == 2, "each rank writes its own"
    loss = resumed(found["models"], case, "ddp", SingleProcess(), folder)
    assert loss == pytest.approx(found[case, "fsdp"].next_loss, rel=1e-4)
    alone = found[case, "alone"].next_loss
    assert found[case, "resumed"] == pytest.approx(alone, rel=1e-4)
    assert found[case, "format 1"] == pytest.approx(alone, rel=1e-4)
