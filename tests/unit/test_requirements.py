"""The pinned packages: every file by its hash, and compared with the advisory database."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"

# A stand-in for pip-audit: it answers with the advisories that $ADVISORIES holds by pin.
_PIP_AUDIT = """
import json, os, sys
pins = open(sys.argv[sys.argv.index("--requirement") + 1]).read().split()
known = json.loads(os.environ["ADVISORIES"])
print(json.dumps({"dependencies": [
    {"name": pin.split("==")[0], "version": pin.split("==")[1],
     "vulns": [{"id": i, "aliases": [], "fix_versions": ["9"]} for i in known.get(pin, [])]}
    for pin in pins]}))
"""


@pytest.mark.parametrize("lock", ["cpu.lock", "dev.lock"])
def test_every_package_is_pinned_by_hash(lock: str) -> None:
    entries = (REQUIREMENTS / lock).read_text("utf-8").replace("\\\n", " ").splitlines()
    assert len(entries) > 50
    for entry in entries:
        pin, *hashes = entry.split()
        assert "==" in pin
        assert hashes
        assert all(len(h.removeprefix("--hash=sha256:")) == 64 for h in hashes), pin


def _audit(tmp_path: Path, advisories: dict[str, list[str]]) -> subprocess.CompletedProcess[str]:
    (tmp_path / "pip_audit.py").write_text(_PIP_AUDIT)
    (tmp_path / "a.lock").write_text("toy==1.0 \\\n    --hash=sha256:00\nother==2\n")
    return subprocess.run(
        [sys.executable, REQUIREMENTS / "audit.py", tmp_path / "a.lock"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "ADVISORIES": json.dumps(advisories)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_advisory_fails_the_check(tmp_path: Path) -> None:
    done = _audit(tmp_path, {"jinja2==2.10": ["PYSEC-1"], "toy==1.0": ["PYSEC-2"]})
    assert (done.returncode, done.stdout) == (1, "toy==1.0: PYSEC-2 (fixed in 9)\n")


def test_an_audit_without_advisories_counts_the_packages(tmp_path: Path) -> None:
    done = _audit(tmp_path, {"jinja2==2.10": ["PYSEC-1"]})
    assert (done.returncode, done.stdout) == (0, "No advisory for 2 packages\n")


def test_without_a_database_the_audit_is_skipped_and_says_so(tmp_path: Path) -> None:
    done = _audit(tmp_path, {})
    assert done.returncode == 0
    assert "skipped" in done.stdout
