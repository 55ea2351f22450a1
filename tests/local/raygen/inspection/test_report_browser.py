"""The report in a real browser: hostile rows do nothing, filters work, it fits a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from raygen.inspection.report import render_report
from tests.local.raygen.inspection.report.test_page import write_evaluation, write_run
from tests.support.chromium import Browser, chromium, find_chromium
from tests.support.report_datasets import row, write_dataset

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium here; on Debian: apt-get install chromium-headless-shell"
)

AWAY = "http://127.0.0.1:9/"
HOSTILE = (
    "<script>alert('script')</script>",
    "</script><script>alert('closed')</script>",
    "</style><style>body{background:url(" + AWAY + "style)}</style>",
    f"<img src={AWAY}image onerror=alert('image')>",
    "<svg onload=alert('svg')><a xlink:href=javascript:alert(1)>x</a></svg>",
    f"<iframe src={AWAY}frame></iframe><base href={AWAY}><meta http-equiv=refresh content=0>",
    f"<form action={AWAY}form><button autofocus onfocus=alert('form')>x</button></form>",
    '" autofocus onfocus="alert(\'quote\')" x="',
    "' onmouseover='alert(1)",
    "[a link](javascript:alert('link')) <a href=javascript:alert('a')>a</a>",
    "{{ 7 * 7 }}{% raw %} ${alert('template')}",
    "<!-- <script> --!> ]]> &lt;script&gt;",
    "\u202egnirts desrever\u202c \u2066isolated",
    "NUL \x00 bell \x07 escape \x1b[31m",
    "A" * 200_000,
)


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    assert PROGRAM is not None
    async with chromium(PROGRAM, tmp_path / "profile") as found:
        yield found


def hostile_page(folder: Path) -> Path:
    """A report in which every word of data, models and students is hostile."""
    sources = [row(f"{text} {n}", choices=[text, f"{text} b"]) for n, text in enumerate(HOSTILE)]
    examples = [
        {"rationale": text, "view": text[:200], "original": f"{text} old", "agreement": 0.5,
         "votes": {"counts": {text[:200]: 2, "b": 1}, "unread": 0}}
        for text in HOSTILE
    ]  # fmt: skip
    said = "\n".join(HOSTILE[:-1])
    data = write_dataset(folder / "data", sources, examples, said, (HOSTILE[1], said))
    run = write_run(folder / "<img src=x onerror=alert(1)>", student=HOSTILE[0])
    write_evaluation(run, "<svg onload=alert(2)>", 3)
    write_evaluation(run, "' onfocus='alert(3)", 4)
    lens = f'<svg xmlns="http://www.w3.org/2000/svg"><script>fetch("{AWAY}lens")</script></svg>'
    (run / "lens.svg").write_text(lens)
    page = folder / "report.html"
    page.write_text(render_report(data, [run]), "utf-8")
    return page


async def test_hostile_rows_run_nothing_load_nothing_and_add_nothing(
    tmp_path: Path, browser: Browser
) -> None:
    page = hostile_page(tmp_path)
    await browser.open(page)
    assert await browser.evaluate("document.querySelectorAll('script').length") == 1
    assert await browser.evaluate("document.querySelectorAll('style').length") == 1
    foreign = "iframe, base, object, embed, link, form[action], [onload], [onerror], [onfocus]"
    assert await browser.evaluate(f"document.querySelectorAll('{foreign}').length") == 0
    assert await browser.evaluate("document.querySelectorAll('img').length") == 1  # the lens
    links = "Array.from(document.links, (a) => a.getAttribute('href')[0])"
    assert set(await browser.evaluate(links)) == {"#"}
    # What can be clicked, chosen or focused is.
    await browser.evaluate(
        "document.querySelectorAll('#cards *').forEach((one) => {"
        "one.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})); one.click?.()})"
    )
    await browser.evaluate(
        "document.querySelectorAll('select').forEach((one) => {one.focus(); one.selectedIndex = 1;"
        "one.dispatchEvent(new Event('input', {bubbles: true}))})"
    )
    text = await browser.evaluate("document.body.textContent")
    assert HOSTILE[0] in text
    assert "\x00" not in text
    assert browser.dialogs == []
    assert browser.console == []
    asked = [url for url in browser.requests.values() if not url.startswith("data:image/")]
    assert asked == [page.as_uri()]
    assert browser.refused == []
    assert browser.tabs == 1


async def test_script_that_gets_into_the_page_all_the_same_is_refused(
    tmp_path: Path, browser: Browser
) -> None:
    page = hostile_page(tmp_path)
    inserted = f"<script>alert('in')</script><img src='{AWAY}x' onerror=\"alert('in')\">"
    page.write_text(page.read_text("utf-8").replace("<main", f"{inserted}<main"), "utf-8")
    await browser.open(page)
    assert browser.dialogs == []
    assert [url for url in browser.requests.values() if url.startswith("http")] == []
    assert browser.refused == [f"{AWAY}x"]


async def test_the_filters_find_cards(tmp_path: Path, browser: Browser) -> None:
    sources = [row(f"Question number {n}?") for n in range(30)]
    examples = [{"rationale": "Yes.", "view": "positive"}, {"rationale": "No.", "view": "negative"}]
    page = tmp_path / "report.html"
    page.write_text(render_report(write_dataset(tmp_path / "data", sources, examples)), "utf-8")
    await browser.open(page)
    visible = "document.querySelectorAll('.card:not([hidden])').length"
    found = "document.getElementById('found').textContent"

    async def choose(name: str, value: str) -> str:
        script = f"(() => {{const one = document.getElementById('filters').elements['{name}'];"
        script += f"one.value = '{value}'; one.dispatchEvent(new Event('input', {{bubbles: true}}))"
        await browser.evaluate(f"{script}}})()")
        answer: str = await browser.evaluate(found)
        return answer

    assert await browser.evaluate(found) == "12 of 88 shown"
    await browser.evaluate("document.getElementById('more').click()")
    assert await browser.evaluate(visible) == 24
    assert await choose("view", "negative") == "12 of 29 shown"
    assert await choose("text", "number 7?") == "1 of 1 shown"
    assert await choose("text", "no such words") == "none like that"
    assert await browser.evaluate("document.getElementById('more').hidden") is True
    await choose("text", "")
    await choose("view", "")
    assert await choose("status", "dropped") == "12 of 30 shown"
    assert await choose("reason", "wrong_answer") == "12 of 30 shown"


@pytest.mark.parametrize("dark", [False, True])
async def test_it_fits_a_phone_and_follows_its_colours(
    tmp_path: Path, browser: Browser, dark: bool
) -> None:
    page = hostile_page(tmp_path)
    await browser.open(page, width=390, dark=dark)
    assert await browser.evaluate("document.documentElement.scrollWidth") <= 390
    colour = await browser.evaluate("getComputedStyle(document.body).backgroundColor")
    parts = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    assert (sum(parts) < 200) is dark
    seen = "Array.from(document.querySelectorAll('.picture'), (one) => one.offsetParent !== null)"
    assert (await browser.evaluate(seen))[:2] == [False, True]


async def test_every_picture_and_control_has_a_name(tmp_path: Path, browser: Browser) -> None:
    await browser.open(hostile_page(tmp_path))
    await browser.call("Accessibility.enable")
    tree = await browser.call("Accessibility.getFullAXTree")
    roles = {"image", "combobox", "searchbox", "button", "link", "region", "heading"}
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree["nodes"]
        if not node["ignored"] and node["role"]["value"] in roles
    ]
    assert {role for role, _ in named} >= {"image", "combobox", "searchbox", "link", "heading"}
    assert [role for role, name in named if not name.strip()] == []
