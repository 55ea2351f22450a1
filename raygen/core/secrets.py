"""Hide secrets in texts, in every form in which a key usually comes back.

A secret is hidden as it is, escaped (JSON, URL, HTML, in any mix and several times over), in hex,
and in base64 wherever it stands in what was encoded. Knows nothing of where a text comes from.
"""

from __future__ import annotations

import html
import logging
import os
import re
import sys
import traceback
from array import array
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote

from raygen.core.terminal import echo, indented, visible

INSTEAD = "***"
_SHORTEST = 8
"""Shorter values of the environment are no secrets: `EMPTY`, `none`."""
_SURE_LENGTH = 16
"""A secret of so many characters stands in no text by chance."""
_ROUNDS = 6
"""How many times over a text may be escaped."""
_LONGEST_MAPPED = 2**20
"""A longer text with an escaped secret in it is replaced entirely."""

_SECRET_NAME = re.compile(
    r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CONNECTION_STRING)(_\d+)?$", re.I
)
_USERINFO = re.compile(r"[a-z][a-z0-9+.-]*://([^\s/?#]+)@", re.I)
_ACCOUNT_KEY = re.compile(r"(?:AccountKey|SharedAccessSignature)=([^;]+)", re.I)
_SECRET_FIELD = re.compile(
    r"(^|[_-])(api_?key|key|token|secret|password|passwd|sig|signature|credential)$", re.I
)
_SIGNS = ("%", "\\", "&")
_ESCAPE = re.compile(
    r"%(?:[0-7]H|[89a-fA-F]H(?:%[89a-fA-F]H)*)"
    r"|\\(?:u[dD][89abAB]HH\\u[dD][c-fC-F]HH|uHHHH"
    r"|x(?:[0-7]H|[89a-fA-F]H(?:\\x[89a-fA-F]H)*)|[^\w\s])"
    r"|&(?:#\d{1,7}|#[xX]H{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?".replace("H", "[0-9a-fA-F]")
)


class Secrets:
    """The secrets of a process or of an endpoint."""

    def __init__(self, values: Iterable[str]) -> None:
        """`values` are the secrets as they are; empty ones are left out."""
        values = tuple(filter(None, values))
        self._all = _all_forms(values)
        self._sure = _all_forms(filter(_is_sure, values))

    def hide(self, message: str) -> str:
        """Return a message to people without any secret, however short."""
        return _hide(message, self._all)

    def hide_in_answer(self, text: str) -> str:
        """Return what a model or a server wrote without those secrets that are no plain words."""
        return _hide(text, self._sure)


def _is_sure(value: str) -> bool:
    """Tell whether a secret is so long or so mixed that no text has it by chance."""
    mixed = re.search(r"\d", value) and re.search(r"[^\W\d]", value)
    return len(value) >= (_SHORTEST if mixed else _SURE_LENGTH)


def _all_forms(values: Iterable[str]) -> tuple[str, ...]:
    forms = {form for value in values for form in _forms(value)}
    return tuple(sorted(forms, key=len, reverse=True))


@lru_cache(maxsize=64)
def _forms(value: str) -> frozenset[str]:
    """Return how a secret reads in a text whose escapes are resolved, and as it is."""
    data = value.encode("utf-8", "surrogateescape")
    return frozenset(
        {value, _unescaped(value), data.hex(), data.hex().upper(), *_base64_forms(data)}
    )


def _base64_forms(data: bytes) -> Iterator[str]:
    """Yield how data reads in base64 after 0, 1 and 2 bytes of something else (mod 3).

    What the neighbours decide too is left out at both ends.
    """
    for before in range(3):
        text = b64encode(bytes(before) + data + bytes(2)).decode()
        inner = text[(0, 2, 3)[before] : (before + len(data)) * 8 // 6]
        if len(inner) >= _SHORTEST:
            yield from (inner, inner.replace("+", "-").replace("/", "_"))


def _hide(text: str, forms: tuple[str, ...]) -> str:
    for form in forms:
        if form in text:
            text = text.replace(form, INSTEAD)
    if not any(sign in text for sign in _SIGNS):
        return text
    plain = _unescaped(text)
    if not any(form in plain for form in forms):
        return text
    return INSTEAD if len(text) > _LONGEST_MAPPED else _hide_escaped(text, forms)


def _unescaped(text: str) -> str:
    """Return a text with its escapes resolved, those that appear by that too."""
    for _ in range(_ROUNDS):
        resolved = _ESCAPE.sub(_resolved, text)
        if resolved == text:
            break
        text = resolved
    return text


def _resolved(escape: re.Match[str]) -> str:
    return _resolve(escape[0])


@lru_cache(maxsize=4096)
def _resolve(escape: str) -> str:
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[0] == "%" or escape[1] == "x":
        data = bytes.fromhex(re.sub(r"%|\\x", "", escape))
        return data.decode("utf-8", "surrogateescape")
    if escape[1] != "u":
        return escape[1]
    return bytes.fromhex(escape[2:6] + escape[8:]).decode("utf-16-be", "surrogatepass")


def _hide_escaped(text: str, forms: tuple[str, ...]) -> str:
    """Return a text without the secrets that stand in it escaped; all else stays as it is."""
    plain, starts, ends = text, array("L", range(len(text))), array("L", range(1, len(text) + 1))
    for _ in range(_ROUNDS):
        parts: list[str] = []
        new_starts, new_ends, at = array("L"), array("L"), 0
        for escape in _ESCAPE.finditer(plain):
            first, last = escape.span()
            resolved = _resolved(escape)
            parts += (plain[at:first], resolved)
            new_starts += starts[at:first] + array("L", [starts[first]] * len(resolved))
            new_ends += ends[at:first] + array("L", [ends[last - 1]] * len(resolved))
            at = last
        starts, ends = new_starts + starts[at:], new_ends + ends[at:]
        plain = "".join((*parts, plain[at:]))
    spans = [
        (starts[found.start()], ends[found.end() - 1])
        for form in forms
        for found in re.finditer(re.escape(form), plain)
    ]
    parts, at = [], 0
    for first, last in sorted(spans):
        if first >= at:
            parts += (text[at:first], INSTEAD)
        at = max(at, last)
    return "".join((*parts, text[at:]))


def environment_secrets(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the secrets in the environment, with the token that the hub's client keeps in a file.

    Variables count by their names (`..._KEY`, `..._TOKEN`, `..._PASSWORD` and such), and any whose
    value is an address with a user or a password, as a proxy's.
    """
    environment = os.environ if environment is None else environment
    values = [_hub_token(environment)]
    for name, value in environment.items():
        if _SECRET_NAME.search(name) and not value.startswith(("/", "~")):
            values += [value, *_ACCOUNT_KEY.findall(value)]
        if name.lower().endswith("_proxy"):
            # Up to the last "@": a password that should have been quoted may hold "/" and "@".
            values += credentials_in(value.rpartition("://")[2].rpartition("@")[0])
        for userinfo in _USERINFO.findall(value):
            values += credentials_in(userinfo)
    stripped = dict.fromkeys(value.strip() for value in values)
    return tuple(value for value in stripped if len(value) >= _SHORTEST)


def _hub_token(environment: Mapping[str, str]) -> str:
    """Read the file of the hub's client without importing it, which takes its time."""
    cache = environment.get("XDG_CACHE_HOME", "~/.cache")
    home = environment.get("HF_HOME", f"{cache}/huggingface")
    path = Path(environment.get("HF_TOKEN_PATH", f"{home}/token"))
    try:
        return path.expanduser().read_text("utf-8").strip()
    except (OSError, ValueError, RuntimeError):
        return ""


def credentials_in(userinfo: str) -> list[str]:
    """Return what is secret in the `user:password` of an address, as written and unquoted."""
    user, colon, password = userinfo.partition(":")
    secret = password if colon else user
    both = [userinfo, f"{unquote(user)}:{unquote(password)}"] if colon else []
    return [secret, unquote(secret), *both]


def without_secret(address: str) -> str:
    """Return an address that is written where others read it.

    Raises ValueError, whose text doesn't show it, for one with a password or a key.
    """
    query = address.partition("://")[2].partition("?")[2]
    if any(_SECRET_FIELD.search(field.partition("=")[0]) for field in re.split("[&;]", query)) or (
        any(":" in userinfo for userinfo in _USERINFO.findall(address))
        or re.match(r"https?://[^\s/?#]+@", address, re.I)
    ):
        raise ValueError(
            f"{address.partition('://')[0]}://...: a user, a password or a key in an address would "
            "be written beside the dataset; leave it out, and give it to the store by its own "
            "settings (environment variables), or download the file"
        )
    return address


def hide_secrets(message: str) -> str:
    """Return a message without the secrets of this process's environment."""
    return Secrets(environment_secrets()).hide(message)


def hide_secrets_in_logs() -> None:
    """Have what this process logs, and the traceback that ends it, pass `hide_secrets`.

    It is made harmless in a terminal, too.
    """
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _HidingFactory):
        logging.setLogRecordFactory(_HidingFactory(factory))
    sys.excepthook = _show_exception


class _HidingFactory:
    """Makes log records whose message and traceback have no secret, and are harmless."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: object, **kwargs: object) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        record.msg, record.args = indented(hide_secrets(record.getMessage())), ()
        if record.exc_info and record.exc_info[0]:
            lines = traceback.format_exception(*record.exc_info)
            record.exc_text = visible(hide_secrets("".join(lines))).rstrip("\n")
        return record


def _show_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    lines = traceback.format_exception(kind, error, trace)
    echo(hide_secrets("".join(lines)), err=True, end="")
