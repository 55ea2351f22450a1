"""Who may import whom: imports point down, and heavy libraries have one home each."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("raygen", "streamtrain")

HOMES = {
    "ray": {
        "raygen/core/ray_cluster.py",
        "raygen/runtime/ray_backend.py",
        "streamtrain/training/ray_backend.py",
    },
    "vllm": {"raygen/engines/vllm/engine.py"},
    "matplotlib": {"streamtrain/plots.py"},
    "vl_convert": {"raygen/inspection/report/figure.py"},
}
WRITERS = {
    "raygen/core/terminal.py",
    "raygen/views/console.py",
    "raygen/cli/datasets.py: echo_via_pager",  # gets pages that a TerminalConsole has made
}
"""What may write to a terminal; everything else does so by way of it."""

# Of raygen, streamtrain uses values, configuration, the dataset on disk, engines, checkers
# and the reader of sources.
STREAMTRAIN_MAY_IMPORT = {"core", "config", "dataset", "engines", "checks", "sources"}

LAYERS = (
    ("raygen.core",),
    ("raygen.config", "raygen.dataset"),
    ("raygen.engines", "raygen.checks"),
    ("raygen.ops", "raygen.sources"),
    ("raygen.testing", "raygen.recipe"),
    ("raygen.trainer",),
    ("raygen.planning",),
    ("raygen.runtime",),
    ("raygen.inspection",),
    ("raygen.views",),
    ("raygen.share", "raygen.scaffold"),
    ("raygen.apply",),
    ("raygen.cli",),
    ("raygen.api",),
    ("streamtrain.errors", "streamtrain.tables"),
    ("streamtrain.plots",),
    ("streamtrain.heldout", "streamtrain.config"),
    ("streamtrain.run",),
    ("streamtrain.data",),
    ("streamtrain.models",),
    ("streamtrain.losses", "streamtrain.evaluation"),
    ("streamtrain.training",),
    ("streamtrain.rationales", "streamtrain.lens"),
    ("streamtrain.analysis",),
    ("streamtrain.cli",),
)
"""The packages from the bottom up: each imports from the layers below its own."""

MODULES_PER_FOLDER = 20
LINES_PER_FILE = 500
MEDIAN_LINES = 200


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


BODIES = ("body", "orelse", "finalbody", "handlers", "cases")
"""Where a statement holds others. To visit statements alone is ten times faster than all nodes."""


@cache
def import_statements(path: Path, typing: bool) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Every import of the file, in functions too; with `typing` those for type checkers alone."""
    statements: list[ast.Import | ast.ImportFrom] = []
    waiting: list[ast.AST] = [tree_of(path)]
    while waiting:
        node = waiting.pop()
        if not typing and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            statements.append(node)
        for name in BODIES:
            waiting.extend(getattr(node, name, ()))
    return tuple(statements)


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module that the file imports where it runs, and every name that it takes from one."""
    names: list[str] = []
    for node in import_statements(path, typing=False):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif node.module:
            names += (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    return tuple(names)


def surface(package: Path) -> dict[str, str]:
    """The names that a package offers, each with the module that defines it, from its stub."""
    stub = package / "__init__.pyi"
    if not stub.exists():
        return {}
    return {
        alias.name: f"{name_of(package / '__init__.py')}.{node.module or alias.name}"
        for node in ast.parse(stub.read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


SURFACES = {name_of(path): surface(path.parent) for path in modules() if path.name == "__init__.py"}


def defining(imported: str) -> str:
    """The module behind a name that is imported through a package's surface."""
    package, _, name = imported.rpartition(".")
    return SURFACES.get(package, {}).get(name, imported)


@pytest.mark.parametrize("library", sorted(HOMES))
def test_heavy_libraries_have_one_home_per_package(library: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users == HOMES[library]


def writes(path: Path) -> Iterator[str]:
    """What in a file would write a text to a terminal as it is."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            words = called.split(".")
            raw = called in WRITES or words[-1] in ("Console", "get_console")
            if raw or (words[0] == "click" and words[-1] in CLICK_WRITES):
                yield words[-1]


WRITES = ("print", "pprint", "input", "sys.stdout.write", "sys.stderr.write", "rich.print")
CLICK_WRITES = ("echo", "secho", "echo_via_pager", "prompt", "confirm", "progressbar", "pause")


def test_texts_reach_a_terminal_by_way_of_what_makes_them_harmless() -> None:
    users = {
        f"{name}: {how}"
        for path in modules()
        if (name := path.relative_to(ROOT).as_posix()) not in WRITERS
        for how in writes(path)
    }
    assert users <= WRITERS


def test_raygen_knows_nothing_of_streamtrain() -> None:
    users = [
        name_of(path)
        for path in modules()
        if name_of(path).startswith("raygen")
        and any(name.split(".")[0] == "streamtrain" for name in imports(path))
    ]
    assert users == []


def test_streamtrain_uses_five_packages_of_raygen() -> None:
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
    packages = {name for name, offered in SURFACES.items() if offered}
    graph = {
        name_of(path): {defining(name) for name in imports(path)}
        & known - packages - {name_of(path)}
        for path in modules()
    }
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"import cycle: {' -> '.join((*above, module))}"
        if module not in done:
            for imported in sorted(graph[module]):
                visit(imported, (*above, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def package_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def layer(package: str) -> int:
    return next(index for index, names in enumerate(LAYERS) if package in names)


def test_every_package_has_its_layer() -> None:
    packages = {package_of(name_of(path)) for path in modules()} - set(PACKAGES)
    assert packages == {name for names in LAYERS for name in names}


def test_imports_point_down() -> None:
    upward = [
        f"{name_of(path)} -> {imported}"
        for path in modules()
        for imported in imports(path)
        if name_of(path) not in PACKAGES
        and imported.startswith(tuple(f"{package}." for package in PACKAGES))
        and package_of(imported) != package_of(name_of(path))
        and layer(package_of(imported)) >= layer(package_of(name_of(path)))
    ]
    assert upward == []


def test_packages_use_each_other_by_their_surfaces() -> None:
    """From another top package a module takes names that the package's stub lists, no others."""
    around = [
        f"{name_of(path)} takes {alias.name} from {node.module}"
        for path in modules()
        for node in import_statements(path, typing=True)
        if isinstance(node, ast.ImportFrom) and node.module
        if node.module.startswith(tuple(f"{package}." for package in PACKAGES))
        and name_of(path) not in PACKAGES
        and package_of(node.module) != package_of(name_of(path))
        and (ROOT / package_of(node.module).replace(".", "/")).is_dir()
        for alias in node.names
        if alias.name not in SURFACES.get(node.module, {})
    ]
    assert around == []


def test_a_surface_never_hides_a_module_of_its_package() -> None:
    """A name that is also a module would be one or the other, by who imported first."""
    hidden = [
        f"{package}.{name}"
        for package, offered in SURFACES.items()
        for name, module in offered.items()
        if (ROOT / package.replace(".", "/") / f"{name}.py").exists()
        and module != f"{package}.{name}"
    ]
    assert hidden == []


def test_every_package_says_what_it_is_for() -> None:
    short = [
        name_of(path)
        for path in modules()
        if path.name == "__init__.py"
        and name_of(path) not in PACKAGES
        and len((ast.get_docstring(tree_of(path)) or "").split(". ")) < 2
    ]
    assert short == []


def test_no_file_and_no_folder_is_too_large() -> None:
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in modules()
        if path.name != "__init__.py"
    }
    assert {path: count for path, count in lines.items() if count > LINES_PER_FILE} == {}
    assert median(lines.values()) < MEDIAN_LINES
    folders = Counter(str(Path(path).parent) for path in lines)
    assert {name: count for name, count in folders.items() if count > MODULES_PER_FOLDER} == {}
