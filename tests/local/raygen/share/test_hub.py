"""Datasets on the hub, in a process of its own: pushed over HTTP, read by `datasets`, pulled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from raygen.dataset.reader import Dataset
from raygen.dataset.storage import Folder
from tests.support.hub_stub import Hub, HubSession, silent_hub
from tests.support.shared_dataset import RECIPE, ROWS, write_dataset

LOAD = "import datasets; print(len(datasets.load_dataset('me/small', split='train')), 'rows')"


@dataclass(frozen=True)
class Client:
    """A hub and the process that uses it, with the answers from before the hub listened."""

    hub: Hub
    session: HubSession
    unreachable_push: tuple[int, str]
    unreachable_pull: tuple[int, str]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return write_dataset(tmp_path_factory.mktemp("made"), keys=range(ROWS))


@pytest.fixture(scope="module")
def client(dataset: Folder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("home")
    with silent_hub() as (hub, listen), hub.session(home) as session:
        push = session.raygen("push", dataset.uri, "hf://datasets/me/away")
        pull = session.raygen("pull", "hf://datasets/me/away", str(home / "away"))
        listen()
        yield Client(hub, session, push, pull)


def test_a_hub_that_is_out_of_reach(client: Client) -> None:
    code, output = client.unreachable_push
    assert (code, "Error: can't push to me/away: " in output) == (1, True), output
    code, output = client.unreachable_pull
    assert (code, "Error: can't read hf://datasets/me/away: " in output) == (1, True), output


def test_the_hub_gets_one_commit_per_push_and_returns_the_dataset(
    dataset: Folder, client: Client, tmp_path: Path
) -> None:
    reference = "hf://datasets/me/small"
    fewer = write_dataset(tmp_path, recipe=RECIPE.replace("n: 2", "n: 3"), keys=[0])
    code, output = client.session.raygen("push", fewer.uri, reference)
    assert code == 0, output
    assert f"3 examples of small questions in {reference}, private" in output
    code, output = client.session.raygen("push", dataset.uri, reference)
    assert code == 0, output
    reader = Dataset.open(dataset)
    content = reader.content_hash(reader.status().plan)
    repository = client.hub.repositories["me/small"]
    shard = f"data/train-00000-of-00001-{content}.parquet"
    assert set(repository.files) == {"README.md", "plan.json", "raygen.json", "recipe.yaml", shard}
    assert (repository.private, repository.commits) == (True, 2)
    assert client.hub.asked[0]["type"] == "dataset"
    code, output = client.session.python(LOAD)
    assert "9 rows" in output, output
    code, output = client.session.raygen("pull", reference, str(tmp_path / "back"))
    assert code == 0, output
    assert f"checked: its content is {content}" in output


def test_what_everybody_can_read_is_only_pushed_to_with_public(
    dataset: Folder, client: Client
) -> None:
    words = ("push", dataset.uri, "hf://datasets/me/open")
    assert ", for everybody" in client.session.raygen(*words, "--public")[1]
    code, output = client.session.raygen(*words)
    assert code == 2
    assert "everybody can read it; nothing was pushed" in output
    assert client.hub.repositories["me/open"].commits == 1


def test_a_token_that_is_refused(dataset: Folder, client: Client) -> None:
    words = ("push", dataset.uri, "hf://datasets/me/refused")
    code, output = client.session.raygen(*words, token="hf_bad")
    assert code == 1
    assert "Error: can't push to me/refused: " in output
    assert "hf auth login" in output
    assert "hf_bad" not in output
    assert "Traceback" not in output


def test_a_dataset_that_is_not_on_the_hub(client: Client, tmp_path: Path) -> None:
    code, output = client.session.raygen("pull", "hf://datasets/me/none", str(tmp_path / "back"))
    assert (code, "hf auth login" in output) == (2, True), output
