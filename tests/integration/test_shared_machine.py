"""A local Ray on a machine that others use too: who can reach its ports and read its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = '''
import json, os, subprocess, sys
from pathlib import Path
import psutil, ray
from raygen.core import joined_cluster, use_callers_umask

os.umask(0o022)

@ray.remote(num_cpus=1)
def work(path):
    before = os.umask(0)
    os.umask(before)
    use_callers_umask()
    Path(path).write_text("rows")
    return before

JOINING = """
import sys
from pathlib import Path
import ray
from raygen.core import joined_cluster

with joined_cluster(sys.argv[1], 1, Path(sys.argv[2]) / "trainer" / "ray.log", loggers=("ray",)):
    print(ray.get(ray.remote(num_cpus=1)(lambda: "trained").remote()))
"""

def listening():
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                yield process.name(), connection.laddr.ip

out = Path(sys.argv[1])
with joined_cluster(None, 2, out / "logs" / "ray.log", loggers=("ray",)) as joined:
    umask = ray.get(work.remote(str(out / "rows.txt")))
    context = ray.get_runtime_context()
    joining = [sys.executable, "-c", JOINING, context.gcs_address, str(out)]
    found = {
        "listening": sorted(set(listening())),
        "worker umask": umask,
        "address": context.gcs_address,
        "temp": ray._private.worker._global_node.get_session_dir_path(),
        "umask": os.umask(0o022),
        "joined": subprocess.run(joining, capture_output=True, text=True).stdout.strip(),
    }
print(json.dumps(found))
'''


def test_nobody_else_reaches_a_local_ray(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home)}
    environment.pop("RAY_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    addresses = {address for _, address in found["listening"]}
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, found["listening"]
    assert len(found["listening"]) > 3, "GCS, raylet and their agents were looked at"
    assert found["address"].startswith("127.0.0.1:")
    assert found["joined"] == "trained", "the trainer of a run joins by that address"
    assert (found["umask"], found["worker umask"]) == (0o022, 0o077)
    assert (tmp_path / "rows.txt").stat().st_mode & 0o777 == 0o644, "a dataset is for others"
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "logs" / "ray.log").stat().st_mode & 0o777 == 0o600
    assert (home / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
    private = Path(found["temp"]).parents[1]
    assert private.name.startswith("raygen-")
    assert private.stat().st_mode & 0o777 == 0o700
