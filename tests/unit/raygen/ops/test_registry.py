"""The op table: built in, trusted, and never two of one name."""

from pathlib import Path

import pytest

from raygen.ops.registry import OpError, all_ops, built_in

TRUSTED = """
from raygen.ops.base import Columns, Op, OpParams

class ShoutParams(OpParams):
    \"\"\"Shouts.\"\"\"

async def run(row, params, ctx):
    return [row]

SHOUT = Op({name!r}, 1, ShoutParams, run, lambda params, task: Columns())
"""


def test_every_op_says_what_it_does_and_rejects() -> None:
    for name, op in built_in().items():
        assert op.name == name
        assert len(op.doc.splitlines()) >= 3, f"{name} needs a docstring for `raygen ops`"


def test_a_trusted_file_adds_its_ops(tmp_path: Path) -> None:
    path = tmp_path / "raygen_test_shout.py"
    path.write_text(TRUSTED.format(name="shout"))
    assert all_ops([path])["shout"].doc == "Shouts."


def test_a_trusted_file_may_lie_on_pythons_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "raygen_test_on_path.py"
    path.write_text(TRUSTED.format(name="murmur"))
    assert "murmur" in all_ops([path])
    other = tmp_path / "elsewhere" / "raygen_test_other.py"
    other.parent.mkdir()
    other.write_text(TRUSTED.format(name="murmur"))
    (tmp_path / "raygen_test_other.py").write_text("")
    with pytest.raises(OpError, match="name of another module"):
        all_ops([other])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TRUSTED.format(name="filter"), "already an op"),
        ("x = 1", "defines no op"),
        ("x = ", "can't be imported"),
        (None, "expected a Python file"),
    ],
)
def test_a_file_that_cant_be_used_is_refused(
    tmp_path: Path, request: pytest.FixtureRequest, text: str | None, said: str
) -> None:
    path = tmp_path / f"raygen_test_bad_{abs(hash(request.node.name))}.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(OpError, match=said):
        all_ops([path])


def test_a_file_with_another_modules_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_text(TRUSTED.format(name="shout"))
    with pytest.raises(OpError, match="already there"):
        all_ops([path])
