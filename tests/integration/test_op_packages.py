"""Ops of other packages, really installed: what `init --op` writes, and the worked example."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from raygen.scaffold.op_package import write_package
from tests.integration.conftest import fake

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "drop-vacuous"

REPEATING = "That is the right choice. So the answer is: (a)"
REASONING = "Cold keeps bacteria from growing. So the answer is: "


@dataclass(frozen=True)
class Installed:
    """The package of an op in its own folder, installed into another one."""

    folder: Path
    target: Path
    cache: Path

    def run(self, *words: str) -> str:
        """Run a Python module in the package's folder; what it printed."""
        path = os.pathsep.join([str(self.target), str(ROOT)])
        types = {"MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(self.cache)}
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "80", **types},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rows(self, *words: str) -> dict[str, int]:
        """Apply the recipe on a Ray of its own; how many rows were kept and dropped."""
        told = self.run("raygen.cli", "apply", "recipe.yaml", "--yes", "--json", *words)
        rows: dict[str, int] = json.loads(told)["rows"]
        return rows


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy finds out of raygen, once for all packages."""
    return tmp_path_factory.mktemp("mypy")


def installed(folder: Path, target: Path, cache: Path) -> Installed:
    """Install a package without an index, as pip would from one."""
    package = Installed(folder, target, cache)
    package.run(
        "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps",
        "--no-build-isolation", "--target", str(target), ".",
    )  # fmt: skip
    shutil.rmtree(folder / "build")
    return package


def leave_out_libraries(folder: Path) -> None:
    """Let mypy read as little of torch and its kin as it does for raygen itself."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (skipped,) = (
        section["module"]
        for section in ours["tool"]["mypy"]["overrides"]
        if section.get("follow_imports") == "skip"
    )
    with (folder / "pyproject.toml").open("a") as settings:
        settings.write(
            f"\n[[tool.mypy.overrides]]\nmodule = {json.dumps(skipped)}\n"
            'ignore_missing_imports = true\nfollow_imports = "skip"\n'
        )


def check(package: Installed, tests: int) -> None:
    """The package's own tests, types and style are as they should be."""
    leave_out_libraries(package.folder)
    assert f"{tests} passed" in package.run("pytest", "-p", "no:cacheprovider", "-q")
    assert "no issues" in package.run("mypy", "--follow-imports", "silent")
    package.run("ruff", "check", "--no-cache")
    package.run("ruff", "format", "--check", "--no-cache")


@pytest.mark.slow
def test_what_init_writes_passes_its_own_tests_and_makes_a_dataset(
    tmp_path: Path, cache: Path
) -> None:
    folder, _ = write_package("drop_short", tmp_path / "drop-short")
    package = installed(folder, tmp_path / "site", cache)
    check(package, tests=3)
    assert "drop_short" in package.run("raygen.cli", "ops")
    assert "valid, 1 node" in package.run("raygen.cli", "validate", "recipe.yaml")
    rows = package.rows()
    assert (rows["kept"], rows["dropped"]) == (2, 1)


def test_a_long_name_breaks_no_line(tmp_path: Path) -> None:
    folder, _ = write_package("drop_" + "x" * 35, tmp_path / "long")
    package = Installed(folder, tmp_path, tmp_path)
    package.run("ruff", "check", "--no-cache", "--extend-select", "E501,I")
    package.run("ruff", "format", "--check", "--no-cache")


@pytest.fixture
def example(tmp_path: Path, cache: Path) -> Installed:
    """A copy of the worked example, installed."""
    folder = tmp_path / "drop-vacuous"
    left_out = shutil.ignore_patterns("build", "out", "*.egg-info", ".*_cache", "__pycache__")
    shutil.copytree(EXAMPLE, folder, ignore=left_out)
    return installed(folder, tmp_path / "site", cache)


def test_the_worked_example_passes_its_own_tests(example: Installed) -> None:
    assert "8 passed" in example.run("pytest", "-p", "no:cacheprovider", "-q")


@pytest.mark.slow
def test_the_worked_example_holds_and_makes_a_dataset(example: Installed, tmp_path: Path) -> None:
    check(example, tests=8)
    replies = [REPEATING, *(f"{REASONING}({letter})" for letter in "abc")]
    teacher = {name: value for name, value in fake(*replies).items() if name != "model"}
    profile = {"profile": "fake", "engines": {"teacher": teacher}}
    (tmp_path / "fake.yaml").write_text(yaml.safe_dump(profile))
    assert "valid, 2 nodes" in example.run(
        "raygen.cli", "validate", "recipe.yaml", "--profile", str(tmp_path / "fake.yaml")
    )
    rows = example.rows("--profile", str(tmp_path / "fake.yaml"))
    assert rows["source"] == rows["kept"] == 4
    status = json.loads(example.run("raygen.cli", "status", "out", "--json"))
    assert status["nodes"]["meaningful"] == [6, 4, 2]
    assert {"node": "meaningful", "reason": "vacuous", "count": 2} in status["rejects"]
