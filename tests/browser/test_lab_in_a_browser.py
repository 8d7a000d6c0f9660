"""JupyterLab as a student meets it: a real browser opens each notebook and runs it from top to bottom.

Needs Playwright and a Chromium (`pip install playwright && playwright install chromium`); skipped without Playwright.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest

from presimal.cli import lab, paths, run
from presimal.cli.views import HEADING, for_presenters

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or None  # None: the one that Playwright brought

# The indicator says "idle" before the kernel is connected, and then only the first cell would run: wait for it.
RUN_ALL = """async () => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = app.shell.currentWidget;
    await panel.revealed;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
    await app.commands.execute('notebook:run-all-cells');
    await app.commands.execute('docmanager:save');
    window.everythingRan = true;
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A JupyterLab as `presimal lab` starts it, on copies in a folder of its own: (address, token, folder)."""
    root = tmp_path_factory.mktemp("repository")
    lab.refresh(paths.originals(), root / "my_work")
    yield from serve(root / "my_work", 8951, teach=False)


@pytest.fixture(scope="module")
def presented(tmp_path_factory):
    """The same for `presimal lab --teach`."""
    folder = tmp_path_factory.mktemp("repository") / "my_teaching"
    lab.refresh(paths.originals(), folder, for_presenters)
    settings = folder / lab.TEACHING / lab.LARGE
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(lab.LARGE_TYPE))
    yield from serve(folder, 8952, teach=True)


def serve(folder, port, teach):
    root = folder.parent
    options = ["--no-browser", "--LabApp.expose_app_in_browser=True", f"--ServerApp.port={port}"]
    command = lab.lab_command(folder, options, teach)
    own = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    own |= {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime"}
    beside = Path(__file__).parents[2] / "assets" / "jupyter"  # what an install puts beside JupyterLab
    environment = os.environ | {name: str(root / folder) for name, folder in own.items()}
    environment |= {"JUPYTER_PATH": str(beside), "JUPYTER_CONFIG_PATH": str(beside / "config")}
    process = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    address, token = next(
        found.groups() for line in process.stderr if (found := re.search(r"(http://127.0.0.1:\d+)\S*token=(\w+)", line))
    )
    threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop the server
    for _ in range(600):  # it may say its address before it listens
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.1)
    yield address, token, folder
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    quiet += ["--disable-component-update", "--disable-sync"]
    with playwright.sync_playwright() as driver:
        profile = str(tmp_path_factory.mktemp("profile"))
        size = {"width": 1400, "height": 1000}
        browser = driver.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, headless=True, args=quiet, viewport=size
        )
        page = browser.new_page()
        page.foreign = []
        page.on("request", lambda request: page.foreign.append(request.url) if is_foreign(request.url) else None)
        yield page
        browser.close()


def is_foreign(url):
    return not re.match(r"(https?|wss?)://127\.0\.0\.1:|data:|blob:|about:", url)


def open_notebook(page, server, name):
    address, token, _ = server
    page.goto(f"{address}/lab/tree/my_work/{name}?reset&token={token}")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)


@pytest.mark.parametrize("name", [file.name for file in run.find_notebooks([])])
def test_a_notebook_runs_from_top_to_bottom(page, server, name):
    open_notebook(page, server, name)
    page.evaluate(f"window.everythingRan = false; ({RUN_ALL})(); 0")
    page.wait_for_function("window.everythingRan", timeout=600_000)
    stored = nbformat.read(server[2] / name, as_version=4)
    cells = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [out.evalue for cell in cells for out in cell.outputs if out.output_type == "error"]
    assert not [out.text for cell in cells for out in cell.outputs if out.get("name") == "stderr"]


# Only cells near the visible ones are in the page: go to the first widget, and again while the page still moves.
SHOW_WIDGET = """() => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const isWidget = cell => (cell.model.getMetadata('tags') || []).includes('widget');
    notebook.activeCellIndex = notebook.widgets.findIndex(isWidget);
    notebook.scrollToItem(notebook.activeCellIndex, 'start');
    return document.querySelector('.widget-interact img');
}"""


def test_a_slider_redraws_its_figure(page, server):
    open_notebook(page, server, lab.FIRST)
    page.evaluate(f"window.everythingRan = false; ({RUN_ALL})(); 0")
    page.wait_for_function("window.everythingRan", timeout=120_000)
    page.wait_for_function(SHOW_WIDGET, polling=500, timeout=30_000)
    before = page.locator(".widget-interact img").get_attribute("src")
    page.locator(".widget-interact .noUi-handle").first.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => { const now = document.querySelector('.widget-interact img'); return now && now.src !== before; }",
        arg=before,
        timeout=20_000,
    )


def test_nothing_pops_up_and_nothing_is_asked_of_the_network(page, server):
    open_notebook(page, server, lab.FIRST)
    page.wait_for_timeout(3000)
    assert page.locator(".jp-toastContainer .Toastify__toast").count() == 0
    assert page.locator(".jp-Dialog").count() == 0
    assert page.foreign == []


# Only what is near the screen is in the page: on to the next picture, until there is none.
PICTURES = """() => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const drawn = (cell) => (cell.model.sharedModel.outputs || []).some((output) => (output.data || {})['image/png']);
    window.drawn ??= [...notebook.widgets.keys()].filter((k) => drawn(notebook.widgets[k]));
    const next = window.drawn.shift();
    if (next !== undefined) notebook.scrollToItem(next, 'start');
    return next === undefined;
}"""


def test_every_picture_has_the_sentence_that_its_notebook_holds(page, server):
    open_notebook(page, server, lab.FIRST)
    stored = nbformat.read(server[2] / lab.FIRST, as_version=4)
    outputs = [output for cell in stored.cells for output in cell.get("outputs", [])]
    sentences = {out.metadata["image/png"]["alt"] for out in outputs if "image/png" in out.get("data", {})}
    seen, lines = set(), []
    for _ in range(len(sentences) + 1):
        page.evaluate(PICTURES)
        page.wait_for_timeout(2000)
        seen |= set(page.eval_on_selector_all(".jp-RenderedImage img", "all => all.map((one) => one.alt)"))
        lines += page.eval_on_selector_all(".jp-OutputArea-output pre", "all => all.map((one) => one.textContent)")
    assert seen == sentences and len(seen) >= 3 and all(seen)
    assert lines and not [line for line in lines if "Figure: " in line]


def test_an_exported_page_has_the_sentences_too(page, server):
    address, token, _ = server
    text = page.request.get(f"{address}/nbconvert/html/my_work/{lab.FIRST}?token={token}").text()
    assert text.count("<img ") >= 3 and len(re.findall(r'<img[^>]* alt="[^"]{20,}"', text)) == text.count("<img ")
    assert "No description" not in text


BEYOND = """all => all.map((one) => [one, one.closest('.jp-Cell')].map((box) => box.getBoundingClientRect().right))
    .filter(([text, cell]) => text > cell)"""
CLIPPED = """all => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"""


def test_what_is_printed_breaks_between_words(page, server):
    open_notebook(page, server, "02_gradient_descent.ipynb")
    page.wait_for_selector(".jp-OutputArea-output pre")
    assert page.evaluate("getComputedStyle(document.querySelector('.jp-OutputArea-output pre')).wordBreak") == "normal"


def test_a_presenter_has_large_type_notes_folded_and_the_seconds_of_long_cells(page, presented):
    address, token, folder = presented
    name = "01_function_approximation.ipynb"
    page.goto(f"{address}/doc/tree/my_teaching/{name}?reset&token={token}")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
    page.wait_for_selector(".jp-InputArea .cm-content")
    assert not page.locator(".jp-FileBrowser").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.cm-content')).fontSize") == "20px"
    long = [cell.source for cell in nbformat.read(folder / name, as_version=4).cells if "This takes" in cell.source]
    assert long and all(re.search(r"^# .*This takes about \d+ s\.$", source.splitlines()[0]) for source in long)
    for words in (HEADING, "This takes about"):
        page.evaluate(
            """words => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            const has = (cell) => cell.model.sharedModel.source.includes(words);
            notebook.scrollToItem(notebook.widgets.findIndex(has), 'start');
        }""",
            words,
        )
        page.locator(f".jp-Cell:has-text('{words}')").first.wait_for()
    assert page.locator(f"details:has(summary:has-text('{HEADING}'))").count() >= 1
    assert page.locator("details[open]").count() == 0
    assert page.eval_on_selector_all(".jp-InputPrompt", CLIPPED) == []
    page.set_viewport_size({"width": 1280, "height": 720})  # a projector
    page.wait_for_timeout(1000)
    assert page.eval_on_selector_all(".cm-scroller", CLIPPED) == []
    page.set_viewport_size({"width": 853, "height": 480})  # the same, enlarged by half
    page.evaluate("window.jupyterapp.shell.currentWidget.content.scrollToItem(0, 'start')")
    page.locator(".jp-PlaceholderText").first.wait_for()
    assert page.eval_on_selector_all(".jp-PlaceholderText", BEYOND) == []
