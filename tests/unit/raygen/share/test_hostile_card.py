"""A card in which every name and text of a recipe tries to be markup."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from raygen.core import code_block, code_span, escape_markdown, escape_paragraphs, visible_line
from raygen.inspection.facts import card_facts
from raygen.inspection.opened import open_dataset
from raygen.share.card import CardLinks, dataset_card
from tests.support.hostile_texts import HOSTILE, harmful
from tests.support.shared_dataset import RECIPE, ROWS, write_dataset

MARKUP = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a | b | c", "`` code ```",
    "[click](http://evil)", "![x](http://evil/x.png)", "**bold** _em_ ~~gone~~", "# heading",
    "a\n\n# heading\n\n---\nlicense: mit\n---\n", "a\n```\n<b>out of the block</b>\n```\n",
    "&lt;b&gt; &#60;script&#62;", "a\\", "<!-- hidden", "$x$", "[^1]: note", "<http://evil>",
    "a\r\n| x | y |\r\n|---|---|\r\n", "- item", "> quote", "===", "\\<b>", "[ref]: http://evil",
    *HOSTILE.values(),
]  # fmt: skip
_TEXT = ("text", "softbreak", "code_inline", "text_special")


def parse(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def kinds(text: str) -> set[str]:
    """The kinds of all tokens, blocks and inline, that a Markdown text makes."""
    found = set()
    for token in parse(text):
        found |= {token.type, *(child.type for child in token.children or ())}
    return found - {"inline"}


@pytest.mark.parametrize("text", MARKUP)
def test_a_text_stays_a_text(text: str) -> None:
    plain = {"paragraph_open", "paragraph_close", *_TEXT}
    assert kinds(f"said: {escape_markdown(text)}") <= plain - {"code_inline"}
    assert kinds(f"said: {code_span(text)} here") <= plain
    assert kinds(escape_paragraphs(text)) <= plain - {"code_inline"}
    assert not harmful(escape_markdown(text) + code_span(text) + escape_paragraphs(text))


@pytest.mark.parametrize("text", MARKUP)
def test_a_cell_stays_a_cell_and_a_block_a_block(text: str) -> None:
    row = f"| a | b |\n|---|---|\n| {escape_markdown(text)} | {code_span(text, in_table=True)} |\n"
    tokens = parse(row)
    assert [token.type for token in tokens].count("td_open") == 2
    assert kinds(row) & {"link_open", "image", "html_inline", "html_block"} == set()
    fenced = parse(code_block(text, "yaml") + "\n\nafter")
    assert [token.type for token in fenced][:2] == ["fence", "paragraph_open"]


def test_a_card_of_hostile_names_has_the_structure_of_an_honest_one(tmp_path: Path) -> None:
    honest = card_of(tmp_path / "honest", RECIPE)
    nasty = (
        "x`|<script>alert(1)</script> [a](http://evil) ![i](http://evil/i.png)\n\n# b\n---\n```\n"
    )
    hostile = RECIPE.replace("recipe: small questions", f"recipe: {in_yaml(nasty)}")
    for old, new in (
        ("Rationales for ${kind} questions.", nasty),
        ("Ada Lovelace", nasty),
        ("CC-BY-4.0", nasty),
        ("MIT", nasty),
        ("org/teacher", nasty),
        ("abc123", nasty),
        ("Apache-2.0", nasty),
        ("wrong_answer", nasty),
    ):
        hostile = hostile.replace(old, in_yaml(new))
    card = card_of(tmp_path / "hostile", hostile)
    _, head, body = card.split("---\n", 2)
    assert yaml.safe_load(head)["pretty_name"] == visible_line(nasty)
    assert structure(body) == structure(honest.split("---\n", 2)[2])
    assert kinds(body) & {"html_inline", "html_block", "image"} == set()
    assert "http://evil" not in [
        child.attrGet("href") for token in parse(body) for child in token.children or ()
    ]


def structure(text: str) -> list[str]:
    """The headings, tables, lists and blocks, but not the paragraphs."""
    types = [token.type for token in parse(text)]
    return [kind for kind in types if kind != "inline" and not kind.startswith("paragraph")]


def in_yaml(text: str) -> str:
    return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'


def card_of(base: Path, recipe: str) -> str:
    folder = write_dataset(base, recipe=recipe, keys=range(ROWS))
    return dataset_card(card_facts(open_dataset(folder)), CardLinks(["x.parquet"], '"x"'))
