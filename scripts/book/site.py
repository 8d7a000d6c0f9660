"""The folder that Sphinx reads: a page for each notebook, those that README already holds, and the glossary."""

import json
import re
import shutil
from pathlib import Path

from book import pages

ROOT = Path(__file__).parents[2]
SOURCE = "https://github.com/MMIV-ML/presimal/blob/main/"
SLIDERS = ROOT / "assets" / "sliders" / "sliders.json"
OWN = {"notebooks/INSTRUCTOR.md": "instructor.md", "notebooks/glossary.md": "glossary.md"}


def write(folder: Path) -> None:
    """Make the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "extra" / "figures").mkdir(parents=True)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    stems = []
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = json.loads(file.read_text(encoding="utf-8"))
        text, pictures = pages.page(notebook, file.stem, ways_to_open(readme, file.name), sliders(file.stem))
        stems.append(file.stem)
        (folder / f"{file.stem}.md").write_text(text, encoding="utf-8")
        for path, png in pictures.items():
            (folder / "extra" / path).write_bytes(png)
    others = {
        "on_real_people": promoted(section(readme, "On real people")),
        "commands": promoted(section(readme, "The command `presimal`"))
        + promoted(section(readme, "How old a brain looks")).replace("# ", "## ", 1),
        "instructor": (ROOT / "notebooks" / "INSTRUCTOR.md").read_text(encoding="utf-8"),
        "credit": promoted(section(readme, "Credit and license")),
        "index": readme.split("\n## ")[0] + "\n" + section(readme, "The notebooks") + contents(stems),
    }
    for name, text in others.items():
        (folder / f"{name}.md").write_text(linked(text, folder), encoding="utf-8")
    glossary = (ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8")
    for stem in stems:  # the numbers behind an entry, such as (02, 04)
        glossary = re.sub(rf"(?<=[( ]){stem[:2]}(?=[,)])", f"[{stem[:2]}]({stem}.md)", glossary)
    (folder / "glossary.md").write_text(anchored(glossary), encoding="utf-8")


def sliders(stem: str) -> pages.Sliders:
    """Where each slider of a notebook can stand, by its cell."""
    kept = json.loads(SLIDERS.read_text(encoding="utf-8")).get(stem, [])
    for slider in kept:
        slider["files"] = [(SLIDERS.parent / name).read_bytes() for _, name in slider["pictures"]]
    return {slider["cell"]: slider for slider in kept}


def section(readme: str, title: str) -> str:
    """One section of README, from its heading to the next of its level; KeyError where there is none."""
    sections = {text.split("\n")[0]: text for text in readme.split("\n## ")[1:]}
    return f"## {sections[title].rstrip()}\n\n"


def promoted(text: str) -> str:
    """With headings one level up, so that a section is a page."""
    return re.sub(r"^#(#+ )", r"\1", text, flags=re.MULTILINE)


def ways_to_open(readme: str, name: str) -> str:
    """The last cell of a notebook's row in README: where to open it without installing."""
    row = next((line for line in readme.splitlines() if line.startswith("| [") and f"notebooks/{name})" in line), "")
    links = row.rstrip(" |").split("|")[-1].strip()
    return f"Open it yourself: {links} · [the file]({SOURCE}notebooks/{name})" if links else ""


def linked(text: str, folder: Path) -> str:
    """Links to pages where the book has one, else to the repository; pictures copied into the book."""

    def picture(found: re.Match[str]) -> str:
        file = ROOT / found[2]
        shutil.copy(file, folder / "extra" / "figures" / file.name)
        return pages.image(f"figures/{file.name}", found[1], file.read_bytes())

    def target(found: re.Match[str]) -> str:
        path = re.sub(r"^notebooks/(\w+)\.ipynb$", r"\1.md", found[1])
        path = OWN.get(path, path)
        return f"]({path})" if (folder / path).exists() or path in OWN.values() else f"]({SOURCE}{path})"

    text = re.sub(r"!\[([^\]]*)\]\((assets/[^)]+)\)", picture, text)
    return re.sub(r"\]\((?!https?://|#)([^)]+)\)", target, text)


def contents(stems: list[str]) -> str:
    """What the bar at the side lists."""
    groups = {"Notebooks": stems, "More": ["on_real_people", "commands", "glossary", "instructor", "credit"]}
    listed = [f"```{{toctree}}\n:hidden:\n:caption: {name}\n\n" + "\n".join(group) for name, group in groups.items()]
    return "\n".join(f"\n{block}\n```\n" for block in listed)


def terms(glossary: str) -> dict[str, list[str]]:
    """{anchor: the ways to write it} of each entry of the glossary, from headings such as "## true positive · TP"."""
    found = {}
    for heading in re.findall(r"^## (.+)$", glossary, flags=re.MULTILINE):
        forms = heading.split(" · ")
        found["term-" + re.sub(r"\W+", "-", forms[0].lower()).strip("-")] = forms
    return found


def anchored(glossary: str) -> str:
    """The glossary with an anchor above each entry, and short headings, which the search finds by their words."""
    for anchor, (first, *others) in terms(glossary).items():
        heading = f"## {' · '.join([first, *others])}\n"
        also = f"\nAlso: {', '.join(others)}.\n" if others else ""
        glossary = glossary.replace(heading, f"({anchor})=\n## {first}\n{also}", 1)
    return glossary
