"""The op table: built in, trusted, and never two of one name."""

from importlib.metadata import EntryPoints, entry_points
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


def install(folder: Path, name: str) -> None:
    """Put a package with an op into a folder of Python's path, as pip does."""
    (folder / f"raygen_test_{name}.py").write_text(TRUSTED.format(name=name))
    (folder / "__pycache__").mkdir(exist_ok=True)
    metadata = folder / f"raygen_test_{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: raygen-test-{name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[raygen.ops]\n{name} = raygen_test_{name}:SHOUT\n")


def test_installed_packages_are_scanned_again_only_after_one_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans: list[str] = []

    def scan(group: str) -> EntryPoints:
        scans.append(group)
        return entry_points(group=group)

    monkeypatch.setattr("raygen.ops.registry.entry_points", scan)
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "bellow")
    assert "bellow" in all_ops()
    assert all_ops() == all_ops()
    assert len(scans) == 1
    install(tmp_path, "hiss")
    assert {"bellow", "hiss"} <= set(all_ops())
    assert len(scans) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TRUSTED.format(name="filter"), "already an op"),
        ("x = 1", "defines no op"),
        ("x = ", "can't be imported"),
        (None, "expected a Python file"),
    ],
)
def test_a_file_that_cant_be_used_is_refused(
    tmp_path: Path, request: pytest.FixtureRequest, text: str | None, message: str
) -> None:
    path = tmp_path / f"raygen_test_bad_{abs(hash(request.node.name))}.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(OpError, match=message):
        all_ops([path])


def test_a_file_with_another_modules_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_text(TRUSTED.format(name="shout"))
    with pytest.raises(OpError, match="already there"):
        all_ops([path])
