from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygen.config.document import ProblemsError, dump_text, parse_text
from raygen.recipe.load import load_recipe
from raygen.recipe.profile import load_profile
from raygen.recipe.recipe import Recipe

RECIPE = """\
recipe: test
version: 1
description: A test.
params:
  n: {type: int, default: 4, min: 1, max: 64, help: rationales}
  t: {type: float, default: 1}
  model: {type: str, default: tiny, choices: [tiny, big]}
  on: {type: bool, default: true}
source:
  path: data/x.jsonl
  limit: 200
  columns: {question: q}
task: multiple_choice
engines:
  teacher: {model: "org/${model}", revision: abc, gpus: 1, price: {input: 1, output: 2}}
graph:
  rationales: {op: sample_rationales, from: source, engine: teacher, n: "${n}", temperature: "${t}"}
  noted: {op: map, from: rationales, set: {note: "'n=${n} on=${on} $${raw}'"}}
output:
  from: [noted]
  path: out/${model}-${n}
"""


def write(folder: Path, text: str, name: str = "r.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(path: Path, overrides: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load_recipe(path, overrides)
    return [str(p).removeprefix(f"{path}:") for p in caught.value.problems]


def test_a_recipe_is_read_with_its_params_filled_in(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, RECIPE))
    assert recipe.params == {"n": 4, "t": 1.0, "model": "tiny", "on": True}
    assert recipe.base == tmp_path
    assert (recipe.name, recipe.task.name) == ("test", "multiple_choice")
    assert (recipe.source.path, recipe.source.limit) == ("data/x.jsonl", 200)
    engine = recipe.engines["teacher"]
    assert (engine.model, engine.backend, engine.gpus) == ("org/tiny", "vllm", 1)
    assert engine.price == {"input": 1.0, "output": 2.0}
    extra = recipe.graph["rationales"].model_extra
    assert extra == {"n": 4, "temperature": 1.0}
    assert recipe.document.data["graph"]["noted"]["set"]["note"] == "'n=4 on=true ${raw}'"
    assert recipe.output.sources == ("noted",)
    assert recipe.output.path == "out/tiny-4"
    assert recipe.output.max_failed == 0.05


def test_overrides_are_params_or_dotted_paths(tmp_path: Path) -> None:
    overrides = {
        "n": "8",
        "engines.teacher.backend": "openai",
        "engines.teacher.args.max_concurrency": "32",
        "graph.rationales.top_p": "0.5",
        "source.limit": "null",
        "output.rows": "10",
        "output.from.0": "rationales",
        "task": "multiple_choice",
    }
    recipe = load_recipe(write(tmp_path, RECIPE), overrides)
    assert recipe.params["n"] == 8
    assert recipe.graph["rationales"].model_extra == {"n": 8, "temperature": 1.0, "top_p": 0.5}
    assert recipe.engines["teacher"].backend == "openai"
    assert recipe.engines["teacher"].args == {"max_concurrency": 32}
    assert (recipe.source.limit, recipe.output.rows) == (None, 10)
    assert recipe.output.sources == ("rationales",)


def test_a_text_param_takes_its_override_as_it_is(tmp_path: Path) -> None:
    text = RECIPE.replace(", choices: [tiny, big]", "")
    assert load_recipe(write(tmp_path, text), {"model": "007"}).params["model"] == "007"


VARIANTS = """\
train: {model: m, data: {rationale: after}}
variants:
  before: {train.data.rationale: before, n: 9, engines.teacher.args: {x: 1}}
  plain: {train.data: {rationale: none}}
"""


def test_a_variant_is_a_named_set_of_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, RECIPE + VARIANTS)
    plain = load_recipe(path, variant="plain")
    assert plain.variant == "plain"
    assert plain.train == {"model": "m", "data": {"rationale": "none"}}
    before = load_recipe(path, variant="before")
    assert before.train == {"model": "m", "data": {"rationale": "before"}}
    assert before.graph["rationales"].model_extra == {"n": 9, "temperature": 1.0}
    assert before.engines["teacher"].args == {"x": 1}
    assert load_recipe(path, {"n": "5"}, variant="before").params["n"] == 5, "--set wins"
    again = load_recipe(write(tmp_path, before.frozen(), "frozen.yaml"))
    assert (again.train, again.params, again.sections.variants) == (before.train, before.params, {})
    assert load_recipe(path).params["n"] == 4


def test_a_models_folder_is_named_from_the_recipes_own(tmp_path: Path) -> None:
    path = write(tmp_path, RECIPE)
    folder = load_recipe(path, {"engines.teacher.model": "../student/final"}).engines["teacher"]
    assert folder.model == str(tmp_path.parent / "student" / "final")
    assert load_recipe(path, {"engines.teacher.model": "a/b"}).engines["teacher"].model == "a/b"


def test_a_variant_may_add_nodes_and_replace_the_graph(tmp_path: Path) -> None:
    text = """\
variants:
  more: {graph.again: {op: filter, from: rationales, where: "true"}, output.from: again}
  other:
    graph: {kept: {op: filter, from: source, where: "true"}}
    engines: {}
    output.from: kept
"""
    path = write(tmp_path, RECIPE + text)
    assert "again" in load_recipe(path, variant="more").graph
    other = load_recipe(path, variant="other")
    assert (list(other.graph), other.engines) == (["kept"], {})
    with pytest.raises(ProblemsError, match=r"the recipe has no 'graph.again'"):
        load_recipe(path, {"graph.again": "{op: filter, from: source, where: 'true'}"})


@pytest.mark.parametrize(
    ("variant", "changes", "problem"),
    [
        ("befor", "{}", "22:1: there is no variant 'befor'; did you mean 'before'?"),
        ("before", "{trian.x: 1}", "23:12: unknown key 'trian.x'; did you mean 'train'?"),
        ("before", "{n: five}", "23:12: param 'n': found the text 'five', expected a value of"),
        ("before", "{n: 1, output: {from: noted, path: a, pth: x}}", "23:49: unknown key 'pth'"),
        ("before", "{variants.x: {}}", "23:12: unknown key 'variants.x'"),
        ("before", "[n]", "23:3: before: found a list of 1, expected a mapping"),
        (None, "{}\n  all: {}", "24:3: a variant can't be named 'all'"),
    ],
)
def test_problems_of_a_variant_stand_in_its_section(
    tmp_path: Path, variant: str | None, changes: str, problem: str
) -> None:
    path = write(tmp_path, RECIPE + f"variants:\n  before: {changes}\n")
    with pytest.raises(ProblemsError) as caught:
        load_recipe(path, variant=variant)
    assert str(caught.value.problems[0]).removeprefix(f"{path}:").startswith(problem)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("m", "1", "unknown key 'm'; expected a param or a key of the recipe"),
        ("modle", "big", "unknown key 'modle'; did you mean 'model'?"),
        ("n", "x", "param 'n': found the text 'x', expected a value of type int"),
        ("n", "true", "param 'n': found true, expected a value of type int"),
        ("n", "65", "param 'n': found 65, expected at most 64"),
        ("model", "huge", "param 'model': found the text 'huge', expected one of: 'tiny', 'big'"),
        ("engines.techer.gpus", "1", "has no 'engines.techer'; did you mean 'teacher'?"),
        ("engines.teacher.gpu", "1", "unknown key 'gpu'; did you mean 'gpus'?"),
        ("engines.teacher.gpus", "one", "gpus: found the text 'one', expected an integer"),
        ("engine.teacher.gpus", "1", "unknown key 'engine.teacher.gpus'; did you mean 'engines'?"),
        ("output.max_failed", "2", "max_failed: found 2, expected at most 1"),
        ("source.path.x", "2", "'source.path' has no keys of its own"),
        ("task", "multiple", "did you mean 'multiple_choice'?"),
    ],
)
def test_a_bad_override_names_itself(tmp_path: Path, key: str, value: str, message: str) -> None:
    (problem,) = problems_of(write(tmp_path, RECIPE), {key: value})
    assert problem.startswith(f"--set {key}={value}:1:1: ")
    assert message in problem


def test_an_override_that_is_no_yaml_is_a_text(tmp_path: Path) -> None:
    path = write(tmp_path, RECIPE)
    prompt = "{{ question }} [yes"
    recipe = load_recipe(path, {"graph.rationales.prompt": prompt})
    assert recipe.document.data["graph"]["rationales"]["prompt"] == prompt
    (problem,) = problems_of(path, {"n": "[1"})
    assert problem.endswith("param 'n': found the text '[1', expected a value of type int")


def test_all_problems_come_at_once_and_consequences_do_not(tmp_path: Path) -> None:
    text = """\
recipe: test
version: 1
params:
  n: {type: int, default: four}
  m: {type: int}
  k: {type: in, default: 1}
source: {path: x, limt: 3}
task: multiple_choise
engines:
  teacher: {model: a, price: {input: -1, output: 0}}
graph:
  a: {op: sample_rationale, from: source, engine: teacher}
  b: {op: sample_rationales, from: aa, engine: techer, n: "${n}", max_tokens: "${m}"}
  c: {op: sample_rationales, from: source, engine: teacher, temprature: 1, n: "${nn}"}
  source: {op: filter, from: source, where: "true"}
output: {from: [a, d], path: out}
includes: x
"""
    assert problems_of(write(tmp_path, text)) == [
        "4:18: param 'n': found the text 'four', expected a value of type int",
        "5:3: param 'm': has no value; set it with --set m=VALUE",
        (
            "6:7: type: found the text 'in', expected 'int', 'float', 'str' or 'bool'; "
            "did you mean 'int'?"
        ),
        "7:19: unknown key 'limt'; did you mean 'limit'?",
        (
            "8:1: task: found the text 'multiple_choise', expected 'multiple_choice', "
            "'classification' or 'free_text'; did you mean 'multiple_choice'?"
        ),
        "10:31: input: found -1, expected at least 0",
        "12:7: unknown op 'sample_rationale'; did you mean 'sample_rationales'?",
        "13:30: there is no node 'aa'; did you mean 'a'?",
        "13:40: there is no engine 'techer'; did you mean 'teacher'?",
        "14:61: unknown key 'temprature'; did you mean 'temperature'?",
        "14:76: unknown param 'nn'; did you mean 'n'? ('$${' is a literal '${')",
        "15:3: a node can't be named 'source', which stands for the source rows",
        "16:20: there is no node 'd'; expected one of: a, b, c, source",
        (
            "17:1: unknown key 'includes'; expected one of: "
            "authors, description, engines, extends, graph, labels, license, output, params, "
            "recipe, source, task, train, variants, version"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: found nothing, expected a recipe"),
        ("- 1", "1:1: found a list of 1, expected a recipe"),
        ("recipe: x\nversion: 2\n", "2:1: recipe version 2: this raygen reads version 1"),
        ("recipe: x\nversion: true\n", "2:1: recipe version true: this raygen reads version 1"),
    ],
)
def test_what_is_no_recipe_of_this_version_says_so(tmp_path: Path, text: str, message: str) -> None:
    (problem,) = problems_of(write(tmp_path, text))
    assert problem.startswith(message)


def test_an_open_reference_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path, RECIPE.replace("$${raw}", "${raw")))
    assert "a '${' without its '}'" in problem


FILES = RECIPE.replace(
    'temperature: "${t}"}', 'temperature: "${t}", prompt: {file: "prompts/${model}.j2"}}'
)
PROMPT = "Q: {{ question }} costs ${n} and $${x} or $$\n{% for c in choices %}{{ c }}{% endfor %}"


def test_a_file_stands_in_for_a_prompt_and_its_text_is_frozen(tmp_path: Path) -> None:
    write(tmp_path, PROMPT, "prompts/tiny.j2")
    student = "student: s\nmodel: x\nnote: ${not ours}\n"
    write(tmp_path, student, "students/s.yaml")
    path = write(tmp_path, FILES + "train: students/s.yaml\n")
    recipe = load_recipe(path, {"n": "6"})
    assert recipe.document.data["graph"]["rationales"]["prompt"] == PROMPT
    assert recipe.train == "students/s.yaml"
    again = load_recipe(write(tmp_path / "elsewhere", recipe.frozen()))
    assert again.graph == recipe.graph
    assert again.params == recipe.params
    assert again.sections.model_copy(update={"train": None, "params": {}}) == (
        recipe.sections.model_copy(update={"train": None, "params": {}})
    )
    assert again.train == {"student": "s", "model": "x", "note": "${not ours}"}
    assert load_recipe(again.path, {"n": "7"}).document.data["graph"]["rationales"]["n"] == 7


def test_a_frozen_recipe_holds_overrides_and_no_profile(tmp_path: Path) -> None:
    path = write(tmp_path, "profile: p\nengines: {teacher: {backend: fake, gpus: 0}}\n", "p.yaml")
    profile = load_profile(path)
    overrides = {"engines.teacher.gpus": "2"}
    recipe = load_recipe(write(tmp_path, RECIPE), overrides, profile)
    assert (recipe.engines["teacher"].backend, recipe.engines["teacher"].gpus) == ("fake", 2)
    again = load_recipe(write(tmp_path, recipe.frozen(), "frozen.yaml"))
    assert (again.engines["teacher"].backend, again.engines["teacher"].gpus) == ("vllm", 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("prompts/tinny.j2", "no file 'prompts/tinny.j2' in the recipe's folder; did you mean"),
        ("../secret.j2", "file '../secret.j2' is outside the recipe's folder"),
        ("/etc/passwd", "file '/etc/passwd' is outside the recipe's folder"),
        ("prompts/link.j2", "file 'prompts/link.j2' is outside the recipe's folder"),
        ("prompts/loop.j2", "file 'prompts/loop.j2' is a link to itself"),
        ("prompts", "'prompts' is a folder, expected a file"),
        ("x" * 300, "File name too long"),
        ("prompts/latin.j2", "file 'prompts/latin.j2' is not UTF-8 (byte 3)"),
    ],
)
def test_a_file_that_cannot_stand_in_is_a_problem(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path, "secret", "secret.j2")
    folder = tmp_path / "recipes"
    write(folder, "text", "prompts/tiny.j2")
    (folder / "prompts" / "latin.j2").write_bytes(b"caf\xe9")
    (folder / "prompts" / "link.j2").symlink_to(tmp_path / "secret.j2")
    (folder / "prompts" / "loop.j2").symlink_to(folder / "prompts" / "loop.j2")
    path = write(folder, FILES.replace("prompts/${model}.j2", name))
    problem = problems_of(path)[0]
    assert problem.startswith("17:")
    assert message in problem


def test_a_student_that_is_missing_or_broken_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path, RECIPE + "train: s.yaml\n"))
    assert problem == "22:1: train: no file 's.yaml' in the recipe's folder; did you mean 'r.yaml'?"
    student = write(tmp_path, "a: 1\na: 2\n", "s.yaml")
    (problem,) = problems_of(write(tmp_path, RECIPE + "train: s.yaml\n"))
    assert problem == f"{student}:2:1: duplicate key 'a', first on line 1"


def test_a_missing_recipe_is_a_problem(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "none.yaml") == ["1:1: no such file"]


words = st.sampled_from(
    [
        *parse_text(RECIPE, "f").data,
        *("from", "op", "path", "file", "train", "n", "1"),
        *("${n}", "${x}", "map", "filter", "teacher"),
    ]
)
leaves = words | st.integers() | st.none() | st.booleans() | st.text(max_size=5)
trees = st.recursive(
    leaves, lambda c: st.lists(c, max_size=3) | st.dictionaries(words, c, max_size=5), max_leaves=20
)
LINES = RECIPE.splitlines(keepends=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text()
    | trees.map(dump_text)
    | st.dictionaries(words, trees).map(
        lambda extra: dump_text({**parse_text(RECIPE, "f").data, **extra})
    )
    | st.lists(st.sampled_from(LINES), max_size=30).map("".join)
)
def test_any_text_is_a_recipe_or_problems(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        outcome: Recipe | ProblemsError = load_recipe(path)
    except ProblemsError as error:
        outcome = error
    if isinstance(outcome, Recipe):
        assert load_recipe(write(tmp_path, outcome.frozen(), "again.yaml")).graph == outcome.graph
    else:
        assert outcome.problems


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(words, min_size=1, max_size=4).map(".".join) | st.text(max_size=8),
    trees.map(dump_text) | st.text(max_size=8),
)
def test_any_override_gives_a_recipe_or_problems(tmp_path: Path, key: str, value: str) -> None:
    path = write(tmp_path, RECIPE)
    try:
        outcome: Recipe | ProblemsError = load_recipe(path, {key: value})
    except ProblemsError as error:
        outcome = error
    if isinstance(outcome, ProblemsError):
        assert outcome.problems
    else:
        assert outcome.name
