"""Compare the pinned packages with the advisory database: `python requirements/audit.py LOCK...`.

A release with a well-known advisory is asked about first. Where even that comes back clean, the
database can't be had from here: the audit is skipped, and says so, since "nothing found" would be
no finding. Advisories that don't concern this project stand in `audit-ignored.txt` with a reason.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_KNOWN_ADVISORY = "jinja2==2.10"
_PIN = re.compile(r"^[A-Za-z0-9._-]+==[^\s\\]+")
_IGNORED = Path(__file__).with_name("audit-ignored.txt")


def main() -> int:
    """Print the pinned releases with advisories; return 1 where there are any."""
    if not any(package.get("vulns") for package in _audit([_KNOWN_ADVISORY])):
        print("Audit skipped: the advisory database can't be had from here")
        return 0
    pins = sorted(
        {
            m[0]
            for lock in sys.argv[1:]
            for line in Path(lock).read_text().splitlines()
            if (m := _PIN.match(line))
        }
    )
    packages = _audit(pins)
    ignored = {
        line.split()[0] for line in _IGNORED.read_text().splitlines() if line[:1] not in ("", "#")
    }
    advisories = [
        f"{package['name']}=={package['version']}: {advisory['id']}"
        f" (fixed in {', '.join(advisory['fix_versions']) or 'no release yet'})"
        for package in packages
        for advisory in package.get("vulns", [])
        if not ignored & {advisory["id"], *advisory["aliases"]}
    ]
    unaudited = [package["name"] for package in packages if "skip_reason" in package]
    if unaudited:
        print(f"Not in the advisory database ({len(unaudited)}): {', '.join(unaudited)}")
    print("\n".join(advisories) or f"No advisory for {len(packages) - len(unaudited)} packages")
    return 1 if advisories else 0


def _audit(pins: list[str]) -> list[dict]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("\n".join(pins))
        requirements.flush()
        command = ["pip_audit", "--requirement", requirements.name, "--no-deps", "--disable-pip"]
        options = ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
        done = subprocess.run(
            [sys.executable, "-m", *command, *options], capture_output=True, text=True, check=False
        )
    if not done.stdout.strip():
        return []
    dependencies: list[dict] = json.loads(done.stdout)["dependencies"]
    return dependencies


if __name__ == "__main__":
    sys.exit(main())
