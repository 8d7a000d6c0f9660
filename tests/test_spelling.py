"""One spelling of English everywhere, American, as the field writes it."""

import json
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
BRITISH = re.compile(
    r"grey|colour|neighbour|behaviour|favour|tumour|fibre|licence|ageing|artefact|judgement|spoilt|labelled|modelled|"
    r"cent(re|red|ring)\b|metres?\b|"
    r"(random|normal|standard|discret|initial|anonym|general|memor|minim|maxim|optim|recogn|summar|visual|organ|"
    r"regular|character|penal|harmon|quant|serial|symmetr)is(e|ed|es|ing|ation)\b",
    re.IGNORECASE,
)
# Names that others have given, and what is a name of ours on other people's disks.
KEPT = re.compile(
    r"Task01_BrainTumour|Brain Imaging Centre|enhancing tumour|\"licence\"|draw\(\"ageing\"\)|"
    r"biomarker standardisation initiative",
    re.IGNORECASE,
)
TEXTS = (".py", ".md", ".toml", ".yml", ".yaml", ".cff", ".cfg", ".sh")


def texts():
    """(where, text) of everything that people read; of notebooks the sources of the cells."""
    folders = ("src", "scripts", "tests", "notebooks", "assets", ".github", ".ci")
    files = [file for folder in folders for file in (REPOSITORY / folder).rglob("*")]
    for file in [*REPOSITORY.glob("*"), *files]:
        if file == Path(__file__) or not file.is_file():
            continue
        if file.suffix in TEXTS or file.parent.name == ".ci":
            yield file, file.read_text(encoding="utf-8")
        elif file.suffix == ".ipynb":
            for number, cell in enumerate(json.loads(file.read_text(encoding="utf-8"))["cells"]):
                yield f"{file}, cell {number}", "".join(cell["source"])


def british(text: str) -> list[str]:
    return [found[0] for found in BRITISH.finditer(KEPT.sub("", text))]


def test_it_finds_british_words_and_leaves_names_alone():
    assert british("the grey centre of a Randomised tumour") == ["grey", "centre", "Randomised", "tumour"]
    assert british("gray Task01_BrainTumour, parameter, millimeters, exercise, noise, precise, centered") == []


def test_one_spelling_everywhere():
    found = {str(where): words for where, text in texts() if (words := british(text))}
    assert not found, found
