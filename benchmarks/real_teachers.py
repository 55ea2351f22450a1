"""What the recipes make of real rows with a real teacher: counts, reasons and rows to read.

    python benchmarks/real_teachers.py MODEL [MODEL ...] --data DATA [--rows 30] [--only cod]

MODEL is a folder of a model with a chat template (or a name that vLLM takes), DATA a folder with
the Parquet files named below. Each recipe is previewed in a process of its own, on vLLM, so no
cluster is needed and a case that fails takes no other with it. OUT gets what `raygen preview
--json` printed of each case, `summary.json` and `summary.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
SMALL = "bundled:smollm2-135m-instruct"
SHOWN = (
    "original",
    "question",
    "text",
    "choices",
    "answer",
    "label",
    "view",
    "rationale",
    "program",
)
"""The columns of an example that are read; `original` is the text before an edit."""


@dataclass(frozen=True, slots=True)
class Case:
    """A recipe on one data set: its file, the rows' file in DATA (or in recipes), what is set."""

    recipe: str
    data: str
    file: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.recipe}-{self.data}"

    def rows(self, data: Path) -> Path:
        inside = RECIPES / "data" / self.file
        return inside if inside.exists() else data / self.file


def cases() -> Iterator[Case]:
    """Every recipe at a small size; sampling and prompts are what a chat gets by default."""
    questions = ("csqa", "quarel", "obqa")
    for name in questions:
        demonstrations = {"demonstrations": f"demos_{name}.jsonl"}
        yield Case("scotd", name, f"{name}_train.parquet", {**demonstrations, "n": 4, **ANSWER})
    for name in questions:
        paths = {"paths": 3, "graph.counterfactual.n": 2}
        yield Case("counterfactual-multiview", name, f"{name}_train.parquet", {**paths, **ANSWER})
    yield Case("cot-mysteries", "csqa", "csqa_train.parquet", {"student": SMALL, **ANSWER})
    yield Case("gsm8k", "gsm8k", "gsm8k_train.parquet", {"n": 4})
    yield Case(
        "code", "programs", "programs.jsonl", {"question": "question", "tests": "tests", "n": 4}
    )
    yield Case("cod", "sst2", "sst2_dev.parquet", EDITED)


ANSWER = {"answer": "answer"}
# The editor is the teacher too: the small form, asked as a chat is.
EDITED = {
    "engines.teacher.api": "chat",
    "graph.edited.n": 1,
    "graph.edited.temperature": 0,
    "graph.edited.max_tokens": 256,
    "graph.edited.max_distance": 0.5,
    "graph.edited.predict.prompt": None,
    "graph.labelled.prompt": None,
}


def command(case: Case, model: str, data: Path, rows: int, max_tokens: int) -> list[str]:
    """Build the command line that previews a case."""
    small = case.recipe == "cod"
    settings = {
        "engines.teacher.model" if small else "teacher": model,
        "source.path" if small else "data": str(case.rows(data)),
        "engines.teacher.args.max_model_len": 2048,
        "engines.teacher.args.max_num_seqs": 32,
        **({} if small else {"api": "chat"}),
        **case.settings,
    }
    if case.recipe in ("scotd", "gsm8k", "code"):
        node = {"scotd": "rationales", "gsm8k": "solutions", "code": "programs"}[case.recipe]
        settings[f"graph.{node}.max_tokens"] = max_tokens
    file = "cod-small.yaml" if small else "recipe.yaml"
    sets = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    return [
        *(str(Path(sys.executable).with_name("raygen")), "preview"),
        *(str(RECIPES / case.recipe / file), "-n", str(rows), "--json", "--yes"),
        *(word for setting in sets for word in ("--set", setting)),
    ]


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of one case; `nodes` has rows in, kept and dropped of each node."""

    case: str
    model: str
    seconds: float
    error: str | None = None
    rows: int = 0
    kept: int = 0
    examples: int = 0
    truncated: int = 0
    nodes: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    reasons: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    sample: Sequence[Mapping[str, Any]] = ()
    dropped: Sequence[str] = ()


def summarise(case: str, model: str, seconds: float, rows: Sequence[Mapping[str, Any]]) -> Summary:
    """Count a preview's rows, and take some to read."""
    nodes: dict[str, tuple[int, int, int]] = {}
    reasons: dict[str, Counter[str]] = {}
    dropped: list[str] = []
    for row in rows:
        for node, counts in row["node_counts"].items():
            before = nodes.get(node, (0, 0, 0))
            nodes[node] = tuple(a + b for a, b in zip(before, counts, strict=True))  # type: ignore[assignment]
        for step in row["steps"]:
            for reject in step["rejects"]:
                reasons.setdefault(step["node"], Counter())[reject["reason"]] += 1
                dropped.append(f"{step['node']}, {reject['reason']}: {reject['detail']}")
    examples = [example for row in rows for example in row["examples"]]
    answers = [answer for row in rows for call in row["calls"] for answer in call["completions"]]
    return Summary(
        case=case,
        model=model,
        seconds=round(seconds, 1),
        rows=len(rows),
        kept=sum(bool(row["examples"]) for row in rows),
        examples=len(examples),
        truncated=sum(answer.get("finish_reason") == "length" for answer in answers),
        nodes=nodes,
        reasons={node: dict(found.most_common()) for node, found in reasons.items()},
        sample=[{key: e[key] for key in SHOWN if e.get(key) is not None} for e in examples],
        dropped=dropped,
    )


def markdown(summaries: Sequence[Summary], shown: int) -> str:
    """Write the table of all cases, then rows that were kept and dropped."""
    lines = [
        "| case | model | rows | kept rows | examples | cut answers | dropped, and why |",
        "|---|---|---|---|---|---|---|",
    ]
    for s in summaries:
        why = s.error or "; ".join(
            f"{node}: " + ", ".join(f"`{reason}` {n}" for reason, n in found.items())
            for node, found in s.reasons.items()
        )
        model = Path(s.model).name
        counts = f"{s.rows} | {s.kept} | {s.examples} | {s.truncated}"
        lines.append(f"| {s.case} | {model} | {counts} | {why} |")
    for s in summaries:
        lines += ["", f"## {s.case}, {Path(s.model).name}", "", "Kept:", ""]
        lines += [f"- {json.dumps(row, ensure_ascii=False)}" for row in s.sample[:shown]]
        lines += ["", "Dropped:", ""]
        lines += [f"- {text}" for text in s.dropped[:shown]]
    return "\n".join(lines) + "\n"


def run(case: Case, model: str, args: argparse.Namespace) -> Summary:
    """Preview one case and store what it printed."""
    begun = time.monotonic()
    line = command(case, model, args.data, args.rows, args.max_tokens)
    name = f"{Path(model).name}-{case.name}"
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", **os.environ}
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, check=False, timeout=args.timeout, env=environment
        )
    except subprocess.TimeoutExpired:
        return Summary(case.name, model, args.timeout, f"not done after {args.timeout} s")
    seconds = time.monotonic() - begun
    if done.returncode:
        return Summary(case.name, model, round(seconds, 1), done.stderr.strip()[-300:])
    (args.out / f"{name}.json").write_text(done.stdout, encoding="utf-8")
    return summarise(case.name, model, seconds, json.loads(done.stdout))


def main() -> None:
    """Run the cases that are asked for, and write the summary after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=30, help="of each data set")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--max-tokens", type=int, default=256, help="of an answer that reasons")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds of a case")
    parser.add_argument("--shown", type=int, default=10, help="rows of each case in summary.md")
    parser.add_argument("--out", type=Path, default=Path("out/real-teachers"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    summaries: list[Summary] = []
    for model in args.models:
        for case in cases():
            if args.only not in case.name:
                continue
            summaries.append(run(case, model, args))
            print(case.name, summaries[-1].error or summaries[-1].reasons, flush=True)
            text = json.dumps([asdict(s) for s in summaries], indent=1, ensure_ascii=False)
            (args.out / "summary.json").write_text(text, encoding="utf-8")
            (args.out / "summary.md").write_text(markdown(summaries, args.shown), encoding="utf-8")
    sys.exit(any(s.error for s in summaries))


if __name__ == "__main__":
    main()
