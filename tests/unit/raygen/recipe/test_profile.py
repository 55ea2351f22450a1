from pathlib import Path

import pytest

from raygen.config.document import ProblemsError, parse_text
from raygen.recipe.profile import apply_profile, load_profile

RECIPE = """
engines:
  teacher: {model: m, gpus: 1, args: {max_num_seqs: 8, seed: 1}}
  judge: {model: j}
"""


def profile_of(folder: Path, text: str) -> Path:
    path = folder / "p.yaml"
    path.write_text(text)
    return path


def test_a_profile_has_defaults_and_says_where_it_runs(tmp_path: Path) -> None:
    small = load_profile(profile_of(tmp_path, "profile: small\n"))
    assert (small.name, small.replicas.max, small.concurrency) == ("small", 1, None)
    assert (small.address, small.workers) == (None, None)
    text = "profile: big\nreplicas: {min: 2, max: 6}\nconcurrency: 64\naddress: auto\n"
    big = load_profile(profile_of(tmp_path, text + "train: {workers: 2}\n"))
    assert (big.replicas.min, big.replicas.max, big.concurrency) == (2, 6, 64)
    assert (big.address, big.workers) == ("auto", 2)


def test_conditions_merge_by_name_after_those_for_all(tmp_path: Path) -> None:
    text = 'profile: p\nengines:\n  teacher: {args: {max_num_seqs: 512}}\n  "*": {gpus: 4}\n'
    profile = load_profile(profile_of(tmp_path, text))
    merged, problems = apply_profile(parse_text(RECIPE, "r"), profile)
    assert problems == []
    assert merged.data["engines"] == {
        "teacher": {"model": "m", "gpus": 4, "args": {"max_num_seqs": 512, "seed": 1}},
        "judge": {"model": "j", "gpus": 4},
    }
    assert merged.mark(("engines", "judge", "gpus")).file == str(profile.path)
    assert merged.mark(("engines", "judge", "model")).file == "r"


def test_another_backend_takes_no_arguments_over(tmp_path: Path) -> None:
    text = "profile: p\nengines: {teacher: {backend: openai, args: {base_url: http://x}}}\n"
    merged, _ = apply_profile(parse_text(RECIPE, "r"), load_profile(profile_of(tmp_path, text)))
    assert merged.data["engines"]["teacher"]["args"] == {"base_url": "http://x"}


def test_an_engine_that_the_recipe_lacks_is_a_problem(tmp_path: Path) -> None:
    path = profile_of(tmp_path, "profile: p\nengines:\n  techer: {gpus: 1}\n")
    _, problems = apply_profile(parse_text(RECIPE, "r"), load_profile(path))
    assert [str(p) for p in problems] == [
        f"{path}:3:3: the recipe has no engine 'techer'; did you mean 'teacher'?"
    ]


def test_a_profile_holds_no_identity_and_no_unknown_keys(tmp_path: Path) -> None:
    text = "profile: p\nengines: {t: {model: x}}\nreplica: {}\nreplicas: {min: 3, max: 2}\n"
    path = profile_of(tmp_path, text)
    with pytest.raises(ProblemsError) as caught:
        load_profile(path)
    assert [str(p).removeprefix(f"{path}:") for p in caught.value.problems] == [
        "2:15: unknown key 'model'; expected one of: args, backend, gpus, price",
        "3:1: unknown key 'replica'; did you mean 'replicas'?",
        "4:1: replicas: min is 3 and max 2; expected min <= max",
    ]


@pytest.mark.parametrize("name", ["laptop", "a100x8"])
def test_the_shipped_profiles_load(name: str) -> None:
    folder = Path(__file__).parents[4] / "recipes" / "profiles"
    assert load_profile(folder / f"{name}.yaml").name == name
