"""Datasets pushed and pulled: through an object store, and made again where they were pulled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from raygen.dataset.reader import Dataset
from raygen.dataset.records import DatasetError
from raygen.share.locations import parse_location
from raygen.share.transfer import pull, push
from tests.integration.conftest import Project
from tests.support.shared_dataset import RECIPE, ROWS, write_dataset


def raygen(*words: str) -> str:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket of a local server that speaks S3."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("shelf")
        yield "s3://shelf"
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_an_object_store(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.chdir(tmp_path)
    dataset = write_dataset(tmp_path / "made", keys=range(ROWS))
    fewer = write_dataset(tmp_path / "fewer", recipe=RECIPE.replace("n: 2", "n: 3"), keys=[0])
    push(fewer.uri, f"{s3}/sets/small", public=False, tell=print)
    done = push(dataset.uri, f"{s3}/sets/small/", public=False, tell=print)
    pattern = f"{s3}/sets/small/data/train-*-{done.content}.parquet"
    assert done.load == f'"parquet", data_files="{pattern}", split="train"'
    examples = datasets.load_dataset(
        "parquet", data_files=pattern, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert examples.num_rows == 9
    assert pull(f"{s3}/sets/small", None).folder == Path("small")
    names = [name.rpartition("/")[2] for name in parse_location(s3).filesystem.find("shelf")]
    assert sorted(names)[:1] == ["README.md"]
    assert len(names) == 5
    with pytest.raises(DatasetError, match="can't write s3://no-such-bucket/x"):
        push(dataset.uri, "s3://no-such-bucket/x", public=False, tell=print)


@pytest.mark.slow
def test_what_was_pulled_makes_the_same_dataset_again(project: Project, tmp_path: Path) -> None:
    project.write(12)
    made = project.apply()
    shelf, back = str(tmp_path / "shelf"), tmp_path / "back"
    raygen("push", str(project.out), shelf, "--source", str(project.folder / "source.jsonl"))
    output = raygen("pull", shelf, str(back))
    content = Dataset.open(str(project.out)).content_hash(made["plan"])
    assert f"its content is {content}" in output
    repeated = Project(back, project.address).apply()
    assert repeated["plan"] == made["plan"]
    assert Dataset.open(str(back / "out")).content_hash(made["plan"]) == content
