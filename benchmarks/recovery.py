"""How long recovery took, from what the fault tests recorded: a line for each kind of fault.

pytest tests/integration/test_faults_*.py --junitxml=faults.xml -o junit_family=xunit1
python benchmarks/recovery.py faults.xml
"""

from __future__ import annotations

import re
import statistics
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict


def main(files: list[str]) -> None:
    """Print the times of each test, with how often it ran."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for file in files:
        for case in ElementTree.parse(file).iter("testcase"):  # noqa: S314 - pytest wrote it
            if case.find("failure") is not None or case.find("error") is not None:
                sys.exit(f"{case.get('name')} failed: its time says nothing")
            for found in case.iter("property"):
                if found.get("name") == "recovery_s":
                    name = re.sub(r"\[.*", "", str(case.get("name")))
                    seconds[name].append(float(str(found.get("value"))))
    for name, all_of_it in seconds.items():
        low, middle, high = min(all_of_it), statistics.median(all_of_it), max(all_of_it)
        print(
            f"{len(all_of_it):3} times  {low:5.1f} to {high:5.1f} s, median {middle:5.1f}  {name}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
