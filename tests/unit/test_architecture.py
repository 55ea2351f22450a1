"""Who may import whom: imports point down, and heavy libraries have one home each."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("raygen", "streamtrain")

HOMES = {
    "ray": {"raygen/run_ray.py", "streamtrain/run_ray.py"},
    "vllm": {"raygen/engines/vllm.py"},
    "matplotlib": {"streamtrain/picture.py"},
    "vl_convert": {"raygen/report/charts.py"},
}
# The one place where the two packages meet is the dataset on disk, and what reads and describes it.
STREAMTRAIN_MAY_IMPORT = {"row", "task", "dataset", "template", "engines", "document", "problem",
                          "errors", "wording", "answers", "interval", "hub",
                          "asking"}  # fmt: skip


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module that the file imports, in functions too, but not for type checkers alone."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("library", sorted(HOMES))
def test_heavy_libraries_have_one_home_per_package(library: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users == HOMES[library]


def test_raygen_knows_nothing_of_streamtrain() -> None:
    users = [
        name_of(path)
        for path in modules()
        if name_of(path).startswith("raygen")
        and any(name.split(".")[0] == "streamtrain" for name in imports(path))
    ]
    assert users == []


def test_the_packages_meet_at_the_dataset_alone() -> None:
    met = {
        name.split(".")[1]
        for path in modules()
        if name_of(path).startswith("streamtrain")
        for name in imports(path)
        if name.startswith("raygen.")
    }
    assert met <= STREAMTRAIN_MAY_IMPORT


def test_no_import_cycles() -> None:
    known = {name_of(path) for path in modules()}
    graph = {name_of(path): set(imports(path)) & known - {name_of(path)} for path in modules()}
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"import cycle: {' -> '.join((*above, module))}"
        if module not in done:
            for imported in sorted(graph[module]):
                visit(imported, (*above, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


LAYERS = (
    ("row",),
    ("task", "errors", "wording", "figures", "chatter", "interrupts", "interval", "loop",
     "sandbox"),
    ("template", "answers", "asking", "duplicates", "problem", "hub", "yaml_text", "engines",
     "metrics"),
    ("document", "ops", "dataset"),
    ("sections", "references", "merging", "testing"),
    ("params", "extending", "attachments", "overrides", "profile", "graph", "schema"),
    ("origins", "confinement"),
    ("recipe", "sources", "lock"),
    ("flow",),
    ("plan",),
    ("binding", "context", "budget", "job", "measured", "progress", "trainer"),
    ("program", "probe", "placement"),
    ("worker", "prepare", "summary", "estimate", "starter", "reuse"),
    ("skeleton",),
    ("control", "counters", "request", "work", "locking", "beside"),
    ("comparing",),
    ("endings", "counts"),
    ("generation", "block_runner", "run_ray", "training", "preview", "terminal", "options",
     "outlook", "showing", "pager"),
    ("views",),
    ("sharing",),
    ("replacing",),
    ("session", "consent", "report", "rating"),
    ("apply", "commands", "commands_init", "commands_lock", "commands_diff", "commands_share",
     "commands_report", "commands_show"),
    ("api", "cli"),
)  # fmt: skip
"""The modules and packages of raygen from the bottom up: each imports from its layer or below."""


def layer(module: str) -> int:
    part = module.split(".")[1]
    return next(index for index, names in enumerate(LAYERS) if part in names)


def test_every_module_of_raygen_has_its_layer() -> None:
    names = {name_of(path) for path in modules()}
    parts = {name.split(".")[1] for name in names if name.startswith("raygen.")}
    assert parts == {name for names in LAYERS for name in names}


def test_imports_of_raygen_point_down() -> None:
    upward = [
        f"{name_of(path)} -> {imported}"
        for path in modules()
        for imported in imports(path)
        if name_of(path).startswith("raygen.")
        and imported.startswith("raygen.")
        and layer(imported) > layer(name_of(path))
    ]
    assert upward == []


def test_files_keep_to_the_house_size() -> None:
    long = {
        path.relative_to(ROOT).as_posix(): lines
        for path in modules()
        if (lines := len(path.read_text("utf-8").splitlines())) > 500
    }
    assert long == {}
