"""How Sphinx builds the book; `python scripts/build_book.py` writes the pages that it reads and calls it."""

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from book import site  # noqa: E402

project = "Medical AI and deep learning for precision imaging"
copyright = "MMIV-ML, GPL-3.0"
language = "en"
extensions = ["myst_parser", "sphinx.ext.mathjax", "sphinx-mathjax-offline"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
smartquotes = False
html_theme = "furo"
html_title = "Medical AI for precision imaging"
html_baseurl = "https://mmiv-ml.github.io/presimal/"
html_static_path = [str(HERE / "static")]
html_favicon = str(HERE / "static" / "favicon.svg")
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_copy_source = html_show_sourcelink = html_use_index = False
exclude_patterns = ["extra"]
html_theme_options: dict[str, list[str]] = {"top_of_page_buttons": []}
mathjax3_config = {"options": {"enableMenu": False}}  # its menu would put a stop of the keyboard on every formula

NOT_PROSE = (nodes.literal, nodes.literal_block, nodes.math, nodes.title, nodes.reference, nodes.raw)


def link_terms(app: Sphinx, document: nodes.document) -> None:
    """Link the first use of each term on a notebook's page to its entry in the glossary."""
    if not re.match(r"\d\d_", app.env.current_document.docname):
        return
    entries = site.terms((site.ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8"))
    anchors = {form.lower(): anchor for anchor, forms in entries.items() for form in forms}
    pattern = term_pattern([form for forms in entries.values() for form in forms])
    seen: set[str] = set()
    for text in list(document.findall(nodes.Text)):
        if not _is_prose(text):
            continue
        parts: list[nodes.Node] = []
        end = 0
        for found in pattern.finditer(text):
            anchor = anchors[found[1].lower()]
            if anchor not in seen:
                seen.add(anchor)
                parts += [nodes.Text(text[end : found.start()]), _reference(found[0], anchor, app)]
                end = found.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def term_pattern(forms: list[str]) -> re.Pattern[str]:
    """Any of the terms, longest first, as a word of its own, also in the plural. A word in small letters may begin a
    sentence; what has a capital, such as Dice, must have it. "Kernel →" is a menu and "Shift +" a key."""
    written = [
        f"[{form[0].upper()}{form[0]}]{re.escape(form[1:])}" if form.islower() else re.escape(form)
        for form in sorted(forms, key=len, reverse=True)
    ]
    return re.compile(rf"(?<![\w-])({'|'.join(written)})(?:s|es)?(?![\w-]| →| \+)")


def _is_prose(text: nodes.Text) -> bool:
    parent = text.parent
    while parent is not None:
        if isinstance(parent, NOT_PROSE) or "instructor" in parent.get("classes", []):
            return False
        parent = parent.parent
    return True


def _reference(text: str, anchor: str, app: Sphinx) -> addnodes.pending_xref:
    options: dict[str, Any] = {"refdomain": "std", "reftype": "ref", "reftarget": anchor, "refexplicit": True}
    docname = app.env.current_document.docname
    return addnodes.pending_xref("", nodes.inline("", text), refdoc=docname, refwarn=True, **options)


def setup(app: Sphinx) -> None:
    app.connect("doctree-read", link_terms)
