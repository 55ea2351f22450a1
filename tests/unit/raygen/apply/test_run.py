"""What an apply refuses before it starts, and what to type to go on where it ended."""

from pathlib import Path

import pytest

from raygen.apply.run import ApplyRequest, ApplyUI, apply
from raygen.core.errors import UserError
from raygen.planning.preparation import RecipeRequest
from raygen.runtime.counts import Snapshot
from raygen.trainer.metrics import TrainerState

RECIPE = """
recipe: r
version: 1
source: {path: q.jsonl}
task: free_text
graph: {keep: {op: filter, from: source, where: "true"}}
output: {from: keep, path: out}
"""


class FakeUI(ApplyUI):
    """A fake user, who is shown nothing and says yes."""

    def confirm(self, question: str) -> bool:
        return True

    def update(self, snapshot: Snapshot, trainer: TrainerState | None) -> None:
        return

    def note(self, message: str) -> None:
        return


def test_a_folder_that_is_deleted_with_its_job_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "session_1" / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    folder.mkdir(parents=True)
    (folder / "q.jsonl").write_text('{"question": "Why?", "answer": "So."}\n')
    (folder / "r.yaml").write_text(RECIPE)
    with pytest.raises(UserError, match="deleted when the job ends"):
        apply(ApplyRequest(RecipeRequest(folder / "r.yaml")), FakeUI())
    assert not (folder / "out").exists()


def test_a_folder_that_no_table_can_lie_in_is_refused(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "Why?", "answer": "So."}\n')
    (tmp_path / "r.yaml").write_text(RECIPE)
    with pytest.raises(UserError, match=r"can't deal with '\['.*--out"):
        apply(ApplyRequest(RecipeRequest(tmp_path / "r.yaml"), str(tmp_path / "out [1]")), FakeUI())
    assert not (tmp_path / "out [1]").exists()


def test_the_words_of_a_request_are_those_of_the_command_line() -> None:
    reference = RecipeRequest(
        Path("r.yaml"), {"n": "3", "engines.t.gpus": "1"}, Path("p.yaml"), 5, (Path("ops.py"),)
    )
    request = ApplyRequest(reference, "s3://b/out", Path("s.yaml"), True, "auto")
    assert request.words == [
        *("r.yaml", "--set", "n=3", "--set", "engines.t.gpus=1", "--profile", "p.yaml"),
        *("--limit", "5", "--trust", "ops.py"),
        *("--out", "s3://b/out", "--train", "s.yaml", "--address", "auto"),
    ], "but not --fresh, which would start over"
