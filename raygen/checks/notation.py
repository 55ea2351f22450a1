r"""One spelling for each way of writing mathematics: `½`, `\dfrac12` and `\tfrac{1}{2}` alike.

Knows nothing of what an expression means or of which are equal.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

LONGEST = 2000
"""Longer answers are no mathematics; they are compared as texts."""

_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "‒": "-", "﹣": "-", "－": "-", "⁻": "-",
    "×": r"\cdot ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "÷": "/", "⁄": "/", "∕": "/",
    "π": r"\pi ", "∞": r"\infty ", "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ",
    "≠": r"\ne ", "∪": r"\cup ", "∩": r"\cap ", "±": r"\pm ", "∅": r"\emptyset ", "°": r"^\circ ",
    "∈": r"\in ", "⟨": r"\langle ", "⟩": r"\rangle ", "′": "'", "’": "'", "″": "''",
    "“": '"', "”": '"', "‘": "'", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u200b": "",
    "\u2061": "", "\u2062": "", "ℝ": r"\mathbb{R}", "θ": r"\theta ", "α": r"\alpha ",
    "β": r"\beta ", "λ": r"\lambda ",
}  # fmt: skip
_UNICODE = str.maketrans(_SYMBOLS)
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉"
_DIGITS = str.maketrans(_RAISED + _LOWERED, "0123456789" * 2)
_ALIASES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "leq": "le", "leqslant": "le", "geq": "ge",
    "geqslant": "ge", "neq": "ne", "times": "cdot", "ast": "cdot", "varnothing": "emptyset",
    "lbrace": "{", "rbrace": "}", "degree": "circ", "lvert": "|", "rvert": "|", "ldots": "dots",
    "cdots": "dots", "lbrack": "[", "rbrack": "]", "arcsin": "arcsin", "div": "/", "lt": "<",
    "gt": ">", "colon": ":", "land": "wedge", "lor": "vee",
}  # fmt: skip
_NAMES = {"{": r"\{", "}": r"\}", "|": "|", "[": "[", "]": "]", "/": "/", "<": "<", ">": ">"}
_NAMES[":"] = ":"
_SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lrm]?)(?![A-Za-z])\s*\.?(?=\s*|$)")
_WRAPPERS = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt|normal)|mbox|hbox|operatorname|fbox"
    r"|boxed|bm|boldsymbol)\*?\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}"
)
_SPACES = re.compile(
    r"\\(?:quad|qquad|displaystyle|textstyle|limits|rm|bf|it)(?![A-Za-z])|(?<!\\)\\[ ,;:>]|~"
)
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SIMPLE = re.compile(r"[A-Za-z0-9 .,%/+-]*")
_SPELLED_SIGN = re.compile(r"pi|inf|sqrt|U", re.IGNORECASE)
_MATH_SPAN = re.compile(r"(?<!\\)\$\$?(?=\S)((?:[^$\\]|\\.)*?)(?<=\S)(?<!\\)\$\$?(?!\d)")
_ARRAY = re.compile(
    r"[\[(|]?\s*\\begin\{array\}\s*(?:\{[^}]*\})?(.*?)\\end\{array\}\s*[\])|]?", re.S
)


@lru_cache(maxsize=8192)
def canonical(text: str) -> str:
    """Spell an answer's notation in one way, without decoration and needless space."""
    if _SIMPLE.fullmatch(text) and not _SPELLED_SIGN.search(text):
        return _tidy(text)
    text = _plain_characters(text)
    text = _MATH_SPAN.sub(r" \1 ", text)
    if text.count("$") > 1:  # what is left of math spans that were cut
        text = re.sub(r"(?<!\\)\$(?!\s?[\d.-])", " ", text)
    text = re.sub(r"(?<!\\)\\[()\[\]]", " ", text)
    text = _SIZES.sub("", text)
    for _ in range(4):
        text, changed = _WRAPPERS.subn(r" \1 ", text)
        if not changed:
            break
    text = re.sub(r"\\!|\{,\}(?=\d{3})", lambda cut: "," if cut[0] == "{,}" else "", text)
    text = re.sub(r"(?<=\d)\\[, ](?=\d{3}(?!\d))", "", text)
    text = _SPACES.sub(" ", text)
    text = _COMMAND.sub(_named, text)
    text = _arguments(text)
    text = _ARRAY.sub(r"\\begin{pmatrix}\1\\end{pmatrix}", text)
    return _tidy(text)


def _plain_characters(text: str) -> str:
    """Write every sign in ASCII or as a LaTeX command, and every digit as 0 to 9."""
    text = re.sub(f"[{_RAISED}]+", lambda run: f"^{{{run[0].translate(_DIGITS)}}}", text)
    text = re.sub(f"[{_LOWERED}]+", lambda run: f"_{{{run[0].translate(_DIGITS)}}}", text)
    text = re.sub(r"√\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"√\s*(\d+(?:\.\d+)?|[A-Za-z])", r"\\sqrt{\1}", text)
    if text.isascii():
        return text
    text = text.translate(_UNICODE)
    return "".join(map(_plain_character, text))


def _plain_character(sign: str) -> str:
    if sign.isascii():
        return sign
    if unicodedata.category(sign) == "Nd":
        return str(unicodedata.decimal(sign))
    plain = unicodedata.normalize("NFKC", sign)
    return f" {plain.replace('⁄', '/')} " if "⁄" in plain else plain.translate(_UNICODE)


def _named(command: re.Match[str]) -> str:
    name = _ALIASES.get(command[1], command[1])
    return _NAMES.get(name, f"\\{name}")


def _arguments(text: str) -> str:
    r"""Give every argument its braces: `\frac12` and `x^2` become `\frac{1}{2}` and `x^{2}`."""
    text = re.sub(r"\\frac\s*(\d)\s*(\d)(?!\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac\s*(\d|[A-Za-z](?![A-Za-z]))\s*\{", r"\\frac{\1}{", text)
    text = re.sub(r"(\\frac\s*\{[^{}]*\})\s*(\w)", r"\1{\2}", text)
    text = re.sub(r"\\sqrt\s*(\d|[A-Za-z](?![A-Za-z]))", r"\\sqrt{\1}", text)
    text = re.sub(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"\*\*(?=\S)", "^", re.sub(r"\A\s*\*\*(.*?)\*\*\s*\Z", r"\1", text, flags=re.S))
    text = re.sub(r"\^\s*\(([^()]*)\)", r"^{\1}", text)
    text = re.sub(r"\^\s*(-?\d+|[A-Za-z]|\\circ(?![A-Za-z]))", r"^{\1}", text)
    text = re.sub(r"_\s*(\w)(?!\w)", r"_{\1}", text)
    text = re.sub(r"(?<=\d)\s*\*\s*(?=[\d(\\A-Za-z])|(?<=[\w)}])\s*\*\s*(?=\d)", r"\\cdot ", text)
    text = re.sub(r"<\s*=|=\s*<", r"\\le ", text)
    text = re.sub(r">\s*=|=\s*>", r"\\ge ", text)
    text = re.sub(r"(?<![\\\w])pi(?!\w)", r"\\pi ", text)
    text = re.sub(r"(?<![\\\w])(?:infinity|inf|infty)(?!\w)", r"\\infty ", text, flags=re.I)
    return re.sub(r"([)\]])\s*U\s*([(\[])", r"\1\\cup \2", text)


def _tidy(text: str) -> str:
    text = text.strip().strip('*`"“”').strip().lstrip(":;,").strip()
    text = re.sub(r"[.,;:!?]+\Z", "", text) if not text.endswith("!") else text
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"(?<![\w%$'\")\]}>]) (?=\S)| (?![\w$\\'\"(\[{<-])", "", text)
    return re.sub(r"(?<=\{) | (?=\})|(?<=\() | (?=\))|(?<=,) ", "", text).strip()
