"""The forms in which a secret may come back, and where one is looked for."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

import polars as pl

FORMS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "as JSON": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "a few characters as \\u": lambda secret: "".join(
        sign if sign.isalnum() else f"\\u{ord(sign):04X}" for sign in secret
    ),
    "all characters as \\u": lambda secret: "".join(f"\\u{ord(sign):04x}" for sign in secret),
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a URL, in small letters, twice": lambda secret: quote(
        "".join(sign if sign.isalnum() else f"%{ord(sign):02x}" for sign in secret), safe=""
    ),
    "base64": lambda secret: b64encode(secret.encode()).decode(),
    "base64 of user:password": lambda secret: b64encode(f"user:{secret}".encode()).decode(),
    "URL-safe base64 in a text": lambda secret: urlsafe_b64encode(
        f"x={secret}; y".encode()
    ).decode(),
    "hex": lambda secret: secret.encode().hex(),
    "HTML": lambda secret: (
        html.escape("".join(f"&#{ord(sign)};" for sign in secret[:5])).replace("&amp;", "&")
        + html.escape(secret[5:])
    ),
}
"""A name, and what it makes of a secret."""


def shown_forms(secret: str, text: str) -> list[str]:
    """The names of the forms in which a secret stands in a text."""
    encoded = b64encode(secret.encode()).decode()
    cores = {
        "plain": secret,
        "as JSON": json.dumps(secret)[1:-1],
        "as JSON with slashes": json.dumps(secret)[1:-1].replace("/", "\\/"),
        "base64": encoded.rstrip("=")[:-1],
        "base64 of user:password": b64encode(f"user:{secret}".encode()).decode()[8:-4],
        "URL-safe base64": urlsafe_b64encode(f"x={secret}".encode()).decode()[4:-4],
        "hex": secret.encode().hex(),
        **{name: form(secret) for name, form in FORMS.items() if "base64" not in name},
    }
    lower = text.lower()
    return [name for name, form in cores.items() if form.lower() in lower]


def leaks(folder: Path, secrets: Iterable[str]) -> list[str]:
    """The files below a folder that show a secret, Parquet by its values too."""
    secrets = list(secrets)
    found = []
    for path in folder.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".parquet":
            text += "\n".join(str(row) for row in pl.read_parquet(path).rows())
        found += [
            f"{path} ({secret[:4]}..., {', '.join(names)})"
            for secret in secrets
            if (names := shown_forms(secret, text))
        ]
    return found
