"""Run commands of raygen in one process, one after the other: each is a JSON list of words."""

from __future__ import annotations

import contextlib
import json
import sys

from raygen.cli.main import main

for words in sys.argv[1:]:
    with contextlib.suppress(SystemExit):
        main(json.loads(words))
