"""The book: what a page shows, folds and leaves out; and pictures with alternative text wherever they are read."""

import base64
import html
import io
import json
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import PIL.Image
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from book import pages, site  # noqa: E402

from presimal.cli.views import for_students  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MEGABYTES = 3.0  # of a page with all that it shows
JUPYTER = ROOT / "assets" / "jupyter"


class Seen(HTMLParser):
    """What a page shows and fetches: alternative texts, files; and whether every fold is closed again."""

    def __init__(self, text):
        super().__init__()
        self.alternatives, self.files, self.depth = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "img":
            self.alternatives.append(attributes.get("alt"))
        if tag in ("img", "script") or (tag == "link" and attributes.get("rel") == "stylesheet"):
            self.files.append((attributes.get("src") or attributes.get("href") or "").split("?")[0])
        self.depth += tag == "details"

    def handle_endtag(self, tag):
        self.depth -= tag == "details"
        assert self.depth >= 0


def described(notebook):
    """The alternative texts that a notebook holds, in the order of its pictures."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    metadata = [output["metadata"] for output in outputs if "image/png" in output.get("data", {})]
    return [" ".join(data["image/png"]["alt"].split()) for data in metadata]


def code(source, *outputs, tags=()):
    return {"cell_type": "code", "source": source, "metadata": {"tags": [*tags]}, "outputs": [*outputs]}


def prose(text, **more):
    return {"cell_type": "markdown", "source": text, "metadata": {}} | more


def printed(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


def picture(sentence):
    PIL.Image.new("RGB", (30, 20)).save(file := io.BytesIO(), "png")
    data = {"image/png": base64.b64encode(file.getvalue()).decode()}
    return {"output_type": "display_data", "data": data, "metadata": {"image/png": {"alt": sentence}}}


def page(*cells):
    return pages.page({"cells": [prose("# 00 · A title\n\nWhat for?"), *cells]}, "00_a")


def test_a_picture_is_a_file_with_its_sentence_and_no_line_repeats_it():
    text, pictures = page(code("show()", picture('a "line" < 2'), printed('Figure: a "line" < 2\nloss 0.5\n')))
    assert list(pictures) == ["figures/00_a-1.png"]
    assert (
        '<img src="figures/00_a-1.png" alt="a &quot;line&quot; &lt; 2" width="30" height="20" loading="lazy">' in text
    )
    assert "Figure:" not in text and "loss 0.5" in text


def test_an_attached_picture_is_a_file_too():
    attached = prose("![five rows of words](attachment:five.png)", attachments={"five.png": picture("")["data"]})
    text, pictures = page(attached)
    assert 'src="figures/00_a-five.png" alt="five rows of words"' in text and "attachment:" not in text
    assert pictures["figures/00_a-five.png"].startswith(b"\x89PNG")


def test_what_one_learns_is_a_list_and_no_narrow_column():
    table = "| minutes to teach (core / all) | seconds on 2 CPU cores | you will be able to |\n|---|---|---|\n"
    cell = prose(f"# 00 · A title\n\nWhat for?\n\n{table}| 70 / 90 | 15 | say $x$<br>do *more* |\n\nSo.")
    text, _ = pages.page({"cells": [cell]}, "00_a")
    assert "Minutes to teach (core / all): 70 / 90. Seconds on 2 CPU cores: 15." in text
    assert "\nYou will be able to\n\n- say $x$\n- do *more*\n\nSo." in text and "|" not in text


def test_a_page_has_one_title():
    text, _ = page(prose("# Part 1 · A network\n\nSo."), code("# no title\nx = 1"))
    assert re.findall(r"^#+ .+", text.split("```")[0], flags=re.MULTILINE) == [
        "# 00 · A title",
        "## Part 1 · A network",
    ]
    assert "\n# no title\n" in text


def test_what_is_for_tests_alone_is_not_shown():
    assert "90 % of" in page(prose("90 <!-- stored: accuracy --> % of"))[0]
    text, _ = page(prose("It is 90 %<!-- stored: test accuracy -->, and 2 <!-- stored: a\nb --> more."))
    assert "It is 90 %, and 2 more." in text


@pytest.mark.parametrize(
    "tag, summary", [("setup", "Set-up"), ("check", "Check"), ("solution", "Solution"), ("hide-input", "Code")]
)
def test_what_is_not_taught_is_folded(tag, summary):
    text, _ = page(code("x = 1", printed("said\n"), tags=[tag, "hide-input"]))
    before, fold = text.split("<details", 1)
    assert f"<summary>{summary}</summary>" in fold and "x = 1" in fold.split("</details>")[0] and "x = 1" not in before
    assert ("said" in fold.split("</details>")[0]) == (tag in ("check", "solution"))


def test_a_folded_drawing_has_the_name_of_what_it_draws():
    text, _ = page(code("# Draw the loss.\ndraw()", tags=["drawing", "hide-input"]))
    assert "<summary>Draw the loss</summary>" in text


def test_two_cells_of_set_up_are_one_fold():
    text, _ = page(code("import a", tags=["setup"]), code("import b", tags=["setup"]), code("c"))
    assert text.count("<details") == text.count("</details>") == 1
    assert text.index("import a") < text.index("import b") < text.index("</details>")


def test_the_instructors_words_are_folded_and_marked():
    text, _ = page(prose("**Say:** hello", metadata={"tags": ["instructor"]}))
    assert re.search(r"<summary>For the instructor</summary>\n\n:::\{container\} instructor\n\*\*Say:\*\* hello", text)


def test_what_is_to_be_predicted_is_folded_until_the_next_words():
    asked = prose("**Predict.** What comes?")
    cells = code("a", printed("one\n")), code("b", printed("two\n")), prose("So it is."), code("c", printed("three\n"))
    text, _ = page(asked, *cells)
    folds = re.findall(r'<details class="predict">.*?</details>', text, flags=re.DOTALL)
    assert len(folds) == 2 and "one" in folds[0] and "two" in folds[1] and "three" in text
    assert all(summary in fold for fold, summary in zip(folds, [pages.PREDICT] * 2, strict=True))


def test_an_answer_is_parsed_as_the_words_around_it():
    text, _ = page(prose("<details><summary>Answer</summary>\nIt is $k$.\n</details>"))
    assert "<details><summary>Answer</summary>\n\nIt is $k$.\n\n</details>" in text


def test_code_with_fences_in_it_stays_code():
    text, _ = page(code('print("""\n```\n""")'))
    assert text.count("````") == 2


def test_where_sliders_can_stand_is_chosen_with_buttons():
    groups = [{"legend": "row < 3", "labels": ["1", "2", "3"], "start": 1}]
    png = base64.b64decode(picture("")["data"]["image/png"])
    slider = {"groups": groups, "pictures": [[f"row {k}.", f"00-1-{k}.png"] for k in "123"], "files": [png] * 3}
    cells = [prose("# 00 · A title"), code("slide()", tags=["widget"])]
    text, pictures = pages.page({"cells": cells}, "00_a", sliders={pages.key("slide()"): slider})
    assert [*pictures] == [f"figures/00-1-{k}.png" for k in "123"] and "<legend>row &lt; 3</legend>" in text
    assert re.findall(r"(\d)</label>", text) == ["1", "2", "3"]
    assert text.count('type="radio"') == 3 and text.count('name="00-1-1-0"') == 3
    assert text.count(" checked") == 1 and " checked> 2</label>" in text
    assert text.index('<div aria-live="polite"><img') > text.index("</fieldset>")  # what is chosen is read aloud
    changed, pictures = pages.page({"cells": cells}, "00_a")  # without positions, a sentence
    assert pages.MOVES in changed and not pictures


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_every_slider_has_positions_that_are_drawn_as_it_is_now(file):
    """Else: python scripts/measure_notebooks.py with the number of the notebook."""
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    moving = [pages.key("".join(c["source"])) for c in cells if "widget" in c["metadata"].get("tags", [])]
    kept = site.sliders(file.stem)
    if not kept:
        pytest.skip(f"not drawn yet: python scripts/measure_notebooks.py --sliders {file.stem[:2]}")
    assert [*kept] == moving and moving
    for slider in kept.values():
        shape = [len(group["labels"]) for group in slider["groups"]]
        assert min(shape) >= 3 and math.prod(shape) == len(slider["pictures"]) == len(slider["files"])
        assert shape[0] <= 6 if len(shape) == 1 else shape == [3, 3]  # what book.css can choose from
        sentences = [sentence for sentence, _ in slider["pictures"]]
        assert all(len(sentence.split()) >= 5 for sentence in sentences) and len(set(sentences)) >= 3
        assert len(set(slider["files"])) >= 3 and all(group["legend"] for group in slider["groups"])
        if all(re.fullmatch(r"[−\d., ]+", label) for group in slider["groups"] for label in group["labels"]):
            # Ten pictures a second, on a core that does nothing else. A list of names is no slider. The window of the
            # convolution writes 83 numbers.
            assert slider["seconds"] <= (0.13 if "row of the window" in str(slider["groups"]) else 0.1)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_every_picture_of_a_notebook_has_its_own_sentence(file):
    sentences = described(json.loads(file.read_text(encoding="utf-8")))
    assert sentences and all(len(sentence.split()) >= 5 for sentence in sentences)
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_the_page_of_a_notebook_is_whole(file):
    notebook = json.loads(file.read_text(encoding="utf-8"))
    text, pictures = pages.page(notebook, file.stem)
    drawn = re.findall(r'<img src="([^"]+)" alt="([^"]{10,})"', text)
    assert {path for path, _ in drawn} == set(pictures) and len(drawn) == text.count("<img ") == len(pictures)
    assert "stored:" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL) and "\nFigure: " not in text
    assert text.count("<details") == text.count("</details>") == text.count("<summary>")
    assert "You will be able to\n\n- " in text and "<br>" not in text.split("\n## ")[0]


def test_readme_is_not_written_twice():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for title in ("On real people", "The notebooks", "The command `presimal`", "How old a brain looks"):
        assert site.section(readme, title).startswith(f"## {title}\n")
    for file in NOTEBOOKS:
        assert "colab.research.google.com" in site.ways_to_open(readme, file.name)
    with pytest.raises(KeyError):
        site.section(readme, "Nothing of this name")


def test_the_glossary_explains_each_word_once_in_the_order_of_the_alphabet():
    glossary = (ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8")
    forms = [form for forms in site.terms(glossary).values() for form in forms]
    headings = re.findall(r"^## (.+)$", glossary, flags=re.MULTILINE)
    assert 40 <= len(headings) == len(site.terms(glossary)) and len(set(map(str.lower, forms))) == len(forms)
    assert headings == sorted(headings, key=lambda heading: heading.lower().replace("–", "-"))
    assert all(5 <= len(text.split()) <= 60 for text in re.split(r"^## .+$", glossary, flags=re.MULTILINE)[1:])


def test_exported_html_has_the_alternative_texts_and_no_line_that_repeats_them(tmp_path):
    """Of students' copies, with what the wheel puts beside nbconvert: a template, and what makes it the usual one."""
    files = [tmp_path / NOTEBOOKS[number].name for number in (0, 1, 6)]
    for number, file in zip((0, 1, 6), files, strict=True):
        file.write_bytes(for_students(NOTEBOOKS[number].read_bytes()))
    environment = os.environ | {"JUPYTER_PATH": str(JUPYTER), "JUPYTER_CONFIG_PATH": str(JUPYTER / "config")}
    command = [sys.executable, "-m", "nbconvert", "--to", "html", *map(str, files), "--output-dir", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0 and "Alternative text is missing" not in done.stderr, done.stderr
    for file in files:
        text = (tmp_path / f"{file.stem}.html").read_text(encoding="utf-8")
        copy = json.loads(file.read_text(encoding="utf-8"))
        attached = [cell for cell in copy["cells"] if cell.get("attachments")]
        attached = re.findall(r"!\[(.+?)\]", "".join("".join(cell["source"]) for cell in attached))
        seen = Seen(text).alternatives
        assert sorted(described(copy) + attached) == sorted(map(html.unescape, seen)) and len(seen) >= 2
        assert "For the instructor" not in text and "**Say:**" not in text
        assert "word-break: normal" in text, "what is printed breaks between words"
        assert "No description" not in text and "\nFigure: " not in text and "<pre>Figure: " not in text


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    pytest.importorskip("sphinx", reason="the extra [book] is not installed")
    pytest.importorskip("myst_parser", reason="the extra [book] is not installed")
    folder = tmp_path_factory.mktemp("book") / "book"
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "build_book.py"), str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_book_has_all_pages_each_whole_and_small(book):
    names = {file.stem for file in book.glob("*.html")}
    assert names >= {file.stem for file in NOTEBOOKS}
    assert names >= {"index", "search", "glossary", "on_real_people", "commands", "instructor", "credit"}
    for file in book.glob("*.html"):
        seen = Seen(file.read_text(encoding="utf-8"))
        assert seen.depth == 0 and all(seen.alternatives), file.name
        assert not [path for path in seen.files if path.startswith(("http", "//"))], file.name
        size = file.stat().st_size + sum((book / path).stat().st_size for path in set(seen.files) if path)
        assert size / 1e6 <= MEGABYTES, (file.name, size)


def test_the_first_use_of_a_word_is_linked_to_the_glossary_and_no_other(book):
    entries = re.findall(r'id="(term-[\w-]+)"', (book / "glossary.html").read_text(encoding="utf-8"))
    used = set()
    for file in NOTEBOOKS:
        links = re.findall(r'glossary.html#(term-[\w-]+)"', (book / f"{file.stem}.html").read_text(encoding="utf-8"))
        assert len(links) >= 5 and len(set(links)) == len(links), file.stem
        used |= set(links)
    assert used == set(entries), f"explained but never used: {set(entries) - used}"


def test_a_word_is_found_as_people_write_it():
    pytest.importorskip("sphinx", reason="the extra [book] is not installed")
    from book import conf

    pattern = conf.term_pattern(["loss", "cross-entropy", "Dice", "Dice coefficient", "kernel", "shift"])
    text = "Losses, the loss; Cross-entropy and dice, Dice coefficients, a lossy Kernel → Restart, Shift + Enter"
    assert [found[0] for found in pattern.finditer(text)] == ["Losses", "loss", "Cross-entropy", "Dice coefficients"]
