"""Build the book, a static site that needs no network to be read: `python scripts/build_book.py`.

Its pages are the stored notebooks (nothing is run), sections of README, the instructor's page and the glossary. Open
build/book/index.html, or serve the folder. Needs the extra [book].
"""

import argparse
import shutil
import sys
from pathlib import Path

from book import site
from sphinx.cmd.build import build_main

CONF = Path(__file__).parent / "book"
# What an audit of accessibility finds in pages of the theme: {as it writes it: what it should be}.
MENDED = {
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<a href="#" class="back-to-top': '<nav aria-label="Back to the top"><a href="#" class="back-to-top',
    "<span>Back to top</span>\n        </a>": "<span>Back to top</span>\n        </a></nav>",
    '<th class="head"><p></p></th>': "<td></td>",
    '<div id="search-results"></div>': '<h1>Search</h1>\n<div id="search-results"></div>',
}


def build(folder: Path) -> int:
    """Write the book to `folder`, which is made anew; exit status 1 if anything is wrong, a broken link included."""
    shutil.rmtree(folder, ignore_errors=True)
    source = folder.with_name(folder.name + "_source")
    site.write(source)
    options = ["-q", "-W", "--keep-going", "-E", "-c", str(CONF), "-d", str(source / ".cache")]
    options += ["-D", f"html_extra_path={source / 'extra'}"]
    status = build_main([*options, str(source), str(folder)])
    for file in folder.glob("*.html"):
        text = file.read_text(encoding="utf-8")
        for old, new in MENDED.items():
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the book from the stored notebooks.")
    parser.add_argument("folder", nargs="?", type=Path, default=site.ROOT / "build" / "book")
    sys.exit(build(parser.parse_args().folder))
