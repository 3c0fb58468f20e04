"""The report in a real browser: it opens without a word on the console, sorts, fits a phone, turns dark, prints; and no name in it runs."""

from __future__ import annotations

import os
import shutil

import pytest

from fnanneal.compare.cells import Budget
from fnanneal.compare.report import render

from .cases_compare import NASTY, SOLVERS, comparison, plan, programs, unfinished

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PROBLEMS = ("G1", "G14", "G22", "G32")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    runs = unfinished(comparison(PROBLEMS, seeds=3)) + programs()
    nasty = comparison(NASTY, ("ensemble", *NASTY[:3]), 2)
    for name, records, title in (("plain", runs, "plain"), ("nasty", nasty, NASTY[0])):
        text = render(records, plan(PROBLEMS, SOLVERS, 3, Budget(seconds=5.0), title=title))
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def opened(browser, files, request):
    """A page of a width and colour scheme; at the end it must have been silent and have asked for nothing but itself."""
    contexts, heard = [], []

    def go(name="plain", width=1280, scheme="light", anchor=""):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: heard.append(m.text))
        page.on("pageerror", lambda e: heard.append(str(e)))
        page.on("dialog", lambda d: heard.append(d.message) or d.dismiss())
        page.on("request", lambda r: heard.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
        page.goto((files / f"{name}.html").as_uri() + anchor)
        return page

    yield go
    for context in contexts:
        context.close()
    assert heard == []


def column(page, table, k):
    return page.locator("table").nth(table).locator(f"tbody tr > :nth-child({k})").all_inner_texts()


def test_sorting_by_click_and_by_key(opened):
    page = opened()
    table = page.locator("table").nth(1)
    head = table.locator("thead th").nth(3)
    before = column(page, 1, 1)
    keys = [float(x) for x in table.locator("tbody td:nth-child(4)").evaluate_all("all => all.map(x => x.dataset.k)")]
    head.locator("[role=button]").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 1, 1) == [name for _, name in sorted(zip(keys, before, strict=True), key=lambda pair: pair[0])]
    head.locator("[role=button]").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 1, 1) == [name for _, name in sorted(zip(keys, before, strict=True), key=lambda pair: -pair[0])]
    other = table.locator("thead th").nth(0)
    other.locator("[role=button]").focus()
    page.keyboard.press("Space")
    assert column(page, 1, 1) == sorted(before, key=lambda name: int(name[1:]))
    assert head.get_attribute("aria-sort") is None and other.get_attribute("aria-sort") == "ascending"


def test_sorting_is_stable(opened):
    page = opened()
    page.locator("#runs summary").click()
    k = page.locator("table").count() - 1
    table = page.locator("table").nth(k)
    before = [row.split("\t") for row in table.locator("tbody tr").all_inner_texts()]
    table.locator("thead th [role=button]").nth(2).evaluate("x => x.click()")
    after = [row.split("\t") for row in table.locator("tbody tr").all_inner_texts()]
    assert len(before) > 60 and after != before
    for solver in SOLVERS:
        kept = [[row[0] for row in rows if row[2].strip() == solver] for rows in (before, after)]
        assert kept[0] == kept[1]


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_wider_than_the_screen(opened, width):
    for name in ("plain", "nasty"):
        page = opened(name, width)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.evaluate("[...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().width)")
        assert sizes and all(200 < w <= width for w in sizes)


def test_texts_of_figures_do_not_overlap(opened):
    page = opened()
    overlaps = page.evaluate(
        """[...document.querySelectorAll('figure svg')].filter(s => s.getBoundingClientRect().width).flatMap(svg => {
            const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
            return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([b, q]) =>
                p.left < q.right - 0.5 && q.left < p.right - 0.5 && p.top + 2 < q.bottom - 2 && q.top + 2 < p.bottom - 2).map(([b]) => [a, b]));
        })"""
    )
    assert overlaps == []


def test_dark_mode_and_its_button(opened):
    def paper(page):
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    def line(page):
        return page.evaluate("getComputedStyle(document.querySelector('figure .l path')).stroke")

    light, dark = opened(scheme="light"), opened(scheme="dark")
    assert paper(light) != paper(dark) and line(light) != line(dark)
    was = paper(light)
    light.locator("button.tool").click()
    assert paper(light) == paper(dark) and line(light) == line(dark)
    light.locator("button.tool").click()
    assert paper(light) == was


def test_details_open_by_hand_and_by_link(opened):
    page = opened()
    folded = page.locator("details").first
    assert folded.get_attribute("open") is None
    folded.locator("summary").click()
    assert folded.get_attribute("open") is not None and folded.locator("table").first.is_visible()
    anchor = page.locator("#runs details tbody tr").nth(30).get_attribute("id")
    direct = opened(anchor=f"#{anchor}")
    assert direct.locator(f"#{anchor}").is_visible()


def test_a_legend_hides_a_solver_everywhere(opened):
    page = opened()
    button = page.locator(".legend li[data-s='1'] button").first
    lines = "[...document.querySelectorAll('figure [data-s=\"1\"]')].map(x => getComputedStyle(x).display)"
    button.click()
    assert set(page.evaluate(lines)) == {"none"} and button.get_attribute("aria-pressed") == "false"
    button.click()
    assert "none" not in page.evaluate(lines)


def test_filter_and_copy(opened):
    page = opened(anchor="#runs")
    page.locator("#runs summary").click()
    page.locator("#runs input").fill("g14 dwave-tabu")
    rows = page.locator("#runs details tbody tr:visible")
    assert rows.count() == 3 and all("G14" in t and "dwave-tabu" in t for t in rows.all_inner_texts())
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    rows.first.locator("td.command button").click()
    rows.first.locator("td.command button", has_text="copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == rows.first.locator("code").last.inner_text()


def test_print(opened, tmp_path):
    page = opened()
    assert page.locator("#runs details tbody tr").first.is_hidden()
    page.emulate_media(media="print")
    # What folds is laid out, and what one clicks on is not.
    assert page.locator("#runs details tbody tr").first.is_visible()
    assert page.locator("button.tool").is_hidden() and page.locator("nav").is_hidden()
    pdf = page.pdf(format="A4")
    assert (
        pdf.startswith(b"%PDF")
        and pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type /Page/") > 5
    )
    page.emulate_media(media="screen")
    assert page.locator("#runs details tbody tr").first.is_hidden()


def test_no_name_runs(opened):
    page = opened("nasty")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.wait_for_timeout(100)
    assert page.evaluate("document.images.length") == 0 and page.evaluate("document.scripts.length") == 1
    assert page.title() == NASTY[0] and NASTY[1] in page.locator("body").inner_text()


def test_it_is_read_without_script(browser, files):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((files / "plain.html").as_uri())
    assert page.locator("table").first.is_visible() and page.locator("figure svg").first.is_visible()
    context.close()


def test_a_screenshot(opened, tmp_path):
    """Not blank: the figures' colours are in it. FNANNEAL_SHOTS keeps it."""
    folder = os.environ.get("FNANNEAL_SHOTS", str(tmp_path))
    for name, width, scheme in (("wide", 1280, "light"), ("phone", 360, "light"), ("dark", 1280, "dark")):
        page = opened(width=width, scheme=scheme)
        shot = page.screenshot(path=os.path.join(folder, f"report_{name}.png"), full_page=True)
        assert shot.startswith(b"\x89PNG") and len(shot) > 50_000
