"""Look at a recipe whose text is a stranger's, before the user agreed to it: in a limited process.

What the user wrote, or agreed to, is looked at in this process. Anything else is loaded, rendered
and read in one child process with limits on memory, time and files, which gets no secrets and can
start no program; what it extends is fetched for it here. Knows nothing of what is looked at.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from raygen.core import UserError
from raygen.core.limited import LimitedProcess, LimitError, Limits
from raygen.engines.models import ANONYMOUS
from raygen.planning.disclosure import RunTerms
from raygen.planning.preparation import RecipeRequest
from raygen.recipe import (
    fetch_below,
    follow_agreed,
    known_as,
    listed_paths,
    readable_paths,
)
from raygen.recipe.remote import Fetched, UnfetchedError, cache

P = ParamSpec("P")
T = TypeVar("T")

LIMITS = Limits(
    memory=2 << 30,
    cpu_s=60,
    wall_s=180,
    file_bytes=1 << 30,
    open_files=256,
    new_files=10_000,
    network=True,
)
"""The network is for rows by a URL and a model's settings, both read as nobody in particular."""

_ADVICE = (
    "The limits hold until you have agreed to it; for a recipe that you trust, copy its folder and "
    "name the copy, which is yours"
)

_SETTINGS = frozenset(
    ["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE",
     "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "HF_ENDPOINT", "HF_HUB_CACHE", "HF_HUB_OFFLINE",
     "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION"]
)  # fmt: skip
"""Variables that say how the network is reached."""


def agreed_request(request: RecipeRequest) -> tuple[RecipeRequest, bool]:
    """Fetch what a recipe extends, as far as the user wrote it or agreed to it.

    Returns the request with that, and whether the user agreed to all of it. Raises UserError and
    ProblemsError.
    """
    allowed, is_strange = follow_agreed(
        request.file, request.fetched, cache.has_agreed, request.permissions
    )
    return replace(request, known=allowed.known), not is_strange


def look_at(
    work: Callable[Concatenate[RecipeRequest, P], T],
    request: RecipeRequest,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Return what a module's function makes of a recipe, run in a limited process if need be.

    There it must return plain data. Raises what it raises, and LimitError.
    """
    request, has_agreed = agreed_request(request)
    if has_agreed:
        return work(request, *args, **kwargs)
    return look_at_stranger(work, request, *args, **kwargs)[1]


def look_at_stranger(
    work: Callable[Concatenate[RecipeRequest, P], T],
    request: RecipeRequest,
    *args: P.args,
    **kwargs: P.kwargs,
) -> tuple[RecipeRequest, T]:
    """Run a function on a recipe in a limited process; return also the request with all that the
    recipe extends. Raises what the function raises, and LimitError."""
    with tempfile.TemporaryDirectory(prefix="raygen-look-") as temporary:
        limits = replace(LIMITS, writable=(Path(temporary), *_hub_cache()))
        subject = f"looking at {request.fetched.reference if request.fetched else request.path}"
        environment = _environment(request, temporary)
        while True:
            if _is_fenced_in(request, args):
                # What was fetched meanwhile can be read by a new process only.
                limits = replace(limits, readable=_readable(request), listed=listed_paths())
            try:
                with LimitedProcess(subject, limits, environment) as child:
                    return request, child.call(work, request, *args, **kwargs)
            except UnfetchedError as missing:
                request = _with_fetched(request, missing)
            except LimitError as error:
                raise LimitError(f"{error}. {_ADVICE}", error.limit) from None


def _is_fenced_in(request: RecipeRequest, args: tuple[object, ...]) -> bool:
    """Tell whether the child may read no file of the user's.

    Where their own recipe extends a stranger's, or they train a student of their own, it may, since
    those name any file.
    """
    own_student = any(isinstance(each, RunTerms) and each.student for each in args)
    return request.fetched is not None and not own_student


def _readable(request: RecipeRequest) -> tuple[Path, ...]:
    return readable_paths(
        request.all_fetched,
        request.overrides.values(),
        [*(path.absolute().parent for path in request.trusted),
         *([request.profile] if request.profile else [])],
        as_user=bool(request.as_me),
    )  # fmt: skip


def strangers_in(request: RecipeRequest) -> list[Fetched]:
    """List what of a recipe was fetched and the user hasn't agreed to."""
    return [each for each in request.all_fetched if not cache.has_agreed(each)]


def _with_fetched(request: RecipeRequest, missing: UnfetchedError) -> RecipeRequest:
    """Fetch what a stranger's recipe extends, as far as it may; loading says where it may not."""
    above = next((each for each in request.all_fetched if each.pinned == missing.above), None)
    key = known_as(missing.reference, above, request.permissions)
    if above is None or key in request.known:
        raise UserError(f"{missing.above}: can't extend {missing.reference!r}; correct its extends")
    below: Fetched | str
    try:
        below = fetch_below(missing.reference, above, request.permissions)
    except UserError as error:
        below = str(error)
    return replace(request, known={**request.known, key: below})


def _environment(request: RecipeRequest, temporary: str) -> Mapping[str, str]:
    """Choose the variables that a child has: settings of the network, and secrets if the user reads
    as themselves: what their own recipe names, or --as-me."""
    as_user = bool(request.as_me) or request.fetched is None
    names = os.environ if as_user else {
        name for name in os.environ if name.upper() in _SETTINGS
    }  # fmt: skip
    own = {
        **({} if as_user else ANONYMOUS),
        "TMPDIR": temporary,
        "HF_DATASETS_CACHE": f"{temporary}/datasets",
        "HF_MODULES_CACHE": f"{temporary}/modules",
        "HF_XET_CACHE": f"{temporary}/xet",
    }
    return {**{name: os.environ[name] for name in names}, **own}


def _hub_cache() -> tuple[Path, ...]:
    """Find the folder that the hub's client keeps files in; none where it can't be made."""
    home = (
        os.environ.get("HF_HOME")
        or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
    )
    folder = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return (folder,) if folder.is_dir() and os.access(folder, os.W_OK) else ()
