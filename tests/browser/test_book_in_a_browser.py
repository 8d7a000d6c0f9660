"""The book as a reader meets it: in a real browser, from a plain server and from the disk, on a desk and on a phone.

Needs the extra [book], Playwright with a Chromium and axe (`pip install playwright axe-playwright-python && playwright
install chromium`); skipped without them.
"""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
pytest.importorskip("sphinx", reason="the extra [book] is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or None  # None: the one that Playwright brought
ROOT = Path(__file__).parents[2]
MEGABYTES = 3.0
SIZES = {"desk": (1300, 900), "phone": (390, 844)}
PAGES = [file.stem for file in sorted((ROOT / "notebooks").glob("*.ipynb"))]
PAGES += ["index", "search", "glossary", "on_real_people", "commands", "instructor", "credit"]
OPEN = "document.querySelectorAll('details').forEach((fold) => { fold.open = true; })"
AUDIT = """async () => (await axe.run(document, {preload: false})).violations.map(
    (found) => `${found.id}: ${found.nodes[0].html.slice(0, 200)}`)"""
FETCH = "[...document.images].forEach((one) => { one.loading = 'eager'; })"  # else only what comes into view


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    book = tmp_path_factory.mktemp("book") / "book"
    subprocess.run([sys.executable, str(ROOT / "scripts" / "build_book.py"), str(book)], check=True)
    return book


@pytest.fixture(scope="module")
def address(folder):
    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def page(request, browser):
    """A page that notes what goes wrong and what it fetches: page.complaints, page.fetched {address: bytes}."""
    width, height = SIZES[request.param]
    with browser.new_context(viewport={"width": width, "height": height}) as context:
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.complaints, page.fetched = [], {}
        page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("response", lambda response: page.fetched.update({response.url: response}))
        yield page


def violations(page):
    """What axe finds on the page as it is."""
    page.evaluate("scrollTo(0, 1200)")
    page.evaluate("scrollBy(0, -400)")  # the theme then offers the way to the top
    page.wait_for_timeout(300)
    page.evaluate(axe.AXE_FILE_PATH.read_text(encoding="utf-8"))
    return page.evaluate(AUDIT)


@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_read_the_page(page, address, name):
    page.goto(f"{address}/{name}.html", wait_until="load")
    page.wait_for_function("!window.MathJax || document.querySelectorAll('.math mjx-container').length > 0")
    page.evaluate(OPEN)
    page.evaluate(FETCH)
    page.wait_for_function("[...document.images].every((one) => one.complete)")
    assert violations(page) == []
    assert [url for url, response in page.fetched.items() if not response.ok] == []
    assert [url for url in page.fetched if not url.startswith(address)] == []
    assert page.complaints == []
    sizes = [len(response.body()) for response in page.fetched.values()]
    assert sum(sizes) / 1e6 <= MEGABYTES
    assert page.evaluate("[...document.images].every((one) => one.alt && one.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the screen"
    assert "stored:" not in page.locator("article p, article td, article li").all_inner_texts()


def test_a_page_opens_from_the_disk_and_finds_words(page, folder):
    page.goto((folder / "search.html").as_uri() + "?q=concordance")
    for title in ("08 · ", "concordance index"):  # a page with the word, and its entry in the glossary
        page.locator(".search li a", has_text=title).first.wait_for()
    page.goto((folder / "02_gradient_descent.html").as_uri())
    page.wait_for_selector("mjx-container")
    assert page.complaints == []


SEEN = (
    """one => [...one.querySelectorAll('img')].filter((image) => image.checkVisibility()).map((image) => image.alt)"""
)


@pytest.mark.parametrize("name", [name for name in PAGES if name[:2].isdecimal()])
def test_a_slider_has_positions_that_keys_choose(page, address, name):
    """One picture at a time; each row of buttons is one stop of the keyboard, whose arrows change the picture."""
    page.goto(f"{address}/{name}.html")
    page.evaluate(OPEN)
    chosen = page.locator(".positions").all()
    assert chosen
    for one in chosen:
        assert one.evaluate("one => one.scrollWidth <= one.clientWidth")
        for row in one.locator("fieldset").all():
            before = one.evaluate(SEEN)
            row.locator("input:checked").focus()
            page.keyboard.press("ArrowRight")
            after = one.evaluate(SEEN)
            assert len(before) == len(after) == 1 and before != after
            assert row.locator("input").count() >= 3


def test_the_search_shows_the_lines_that_fit(page, address):
    page.goto(f"{address}/search.html?q=voxel")
    page.wait_for_selector(".search li p.context")
    assert page.complaints == []


def test_what_is_wrong_with_a_page_is_found(page, address):
    """The audit itself: a picture without words, a pale line and a field without a name are each found."""
    page.goto(f"{address}/credit.html")
    assert violations(page) == []
    page.evaluate("document.querySelector('article').insertAdjacentHTML('beforeend', "
                  "'<img src=\"x.png\"><p style=\"color: #ccc; background: #fff\">pale</p><input>')")  # fmt: skip
    found = {line.split(":")[0] for line in violations(page)}
    assert {"image-alt", "color-contrast", "label"} <= found
