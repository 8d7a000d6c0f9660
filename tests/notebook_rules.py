"""What every notebook of the workshop must look like as it is stored: the holes that execution alone leaves open.

A rule takes a notebook and its file and yields one sentence per violation.
"""

import ast
import json
import re
from pathlib import Path

MAX_MEGABYTES = 1.5
MAX_CELL_LINES = 30
MAX_LINE = 100
INSTALL = """import importlib.util
import subprocess
import sys

if importlib.util.find_spec("presimal") is None:
    subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", "git+{repository}"])"""
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(home|Users|root|tmp|work|opt|usr|var|mnt|content|private)/|\b[A-Z]:\\")
NUMBER = r"[-−]?\d[\d,]*(?:\.\d+)?"
STORED = re.compile(rf"({NUMBER})( ?%)?(?:(?: to |–| and )({NUMBER}))?([^<\d\n]{{0,30}})<!-- stored: (.+?) -->")
TAKE_AWAY = re.compile(r"take-away: .+ = .+ \(baseline .+\)")


def code(notebook, tag=None):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in cells if tag is None or tag in tags(cell)]


def prose(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def tags(cell):
    return cell.metadata.get("tags", [])


def printed(cell):
    return "".join(out.text for out in cell.outputs if out.output_type == "stream" and out.name == "stdout")


def plain(cell):
    return "\n".join(out.data.get("text/plain", "") for out in cell.outputs if "data" in out)


def value(text):
    return float(text.replace("−", "-").replace(",", ""))


def pictures(cell):
    return [kind for out in cell.outputs for kind in out.get("data", {}) if kind.startswith("image/")]


# Stored as executed -------------------------------------------------------------------------------


def is_executed_in_order(notebook, file):
    counts = [cell.execution_count for cell in code(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}, not 1 to {len(counts)}"


def stores_no_error(notebook, file):
    for cell in code(notebook):
        for out in cell.outputs:
            if out.output_type == "error":
                yield f"cell {cell.execution_count} stores {out.ename}"


def stores_no_warning(notebook, file):
    for cell in code(notebook):
        if any(out.get("name") == "stderr" for out in cell.outputs):
            yield f"cell {cell.execution_count} stores text on stderr"


def stores_no_stray_result(notebook, file):
    for cell in code(notebook):
        for out in cell.outputs:
            if out.output_type == "execute_result" and len(out.get("data", {}).get("text/plain", "").splitlines()) > 20:
                yield f"cell {cell.execution_count} ends in a value that nobody wants to read: assign it to _"


def stores_no_widget(notebook, file):
    if "widgets" in notebook.metadata:
        yield "the notebook stores the state of its widgets"
    for cell in code(notebook):
        if any("widget" in kind for out in cell.outputs for kind in out.get("data", {})):
            yield f"cell {cell.execution_count} stores a widget, which shows nothing without a kernel"


def gives_each_widget_a_static_twin(notebook, file):
    cells = code(notebook)
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        uses_widget = re.search(r"\binteract\b\s*\(|@interact|widgets\.\w+\(", cell.source)
        if uses_widget and "widget" not in tags(cell):
            yield f"cell {cell.execution_count} is interactive but lacks the tag 'widget'"
        if "widget" in tags(cell) and not (following and "static-twin" in tags(following) and pictures(following)):
            yield f"cell {cell.execution_count} has a widget without a static twin in the next code cell"


def holds_no_absolute_path(notebook, file):
    for cell in notebook.cells:
        text = cell.source + "".join(
            out.get("text", "")
            + json.dumps({k: v for k, v in out.get("data", {}).items() if not k.startswith("image/")})
            for out in cell.get("outputs", [])
        )
        if found := ABSOLUTE_PATH.search(text):
            yield f"a cell holds the path {text[found.start() : found.start() + 30]!r}"


def stores_png_only(notebook, file):
    for cell in code(notebook):
        for out in cell.outputs:
            for kind, content in out.get("data", {}).items():
                if kind.startswith("image/") and kind != "image/png":
                    yield f"cell {cell.execution_count} stores {kind}"
                if kind == "application/javascript" or (
                    kind == "text/html" and re.search("<svg|<script|<img", content)
                ):
                    yield f"cell {cell.execution_count} stores a picture or script inside {kind}"


def is_small(notebook, file):
    megabytes = file.stat().st_size / 1e6
    if megabytes > MAX_MEGABYTES:
        yield f"the file has {megabytes:.1f} MB, more than {MAX_MEGABYTES}"


def compares_some_outputs(notebook, file):
    compared = [cell for cell in code(notebook, "nbval-check-output")]
    if len(compared) < 3:
        yield f"{len(compared)} cells are tagged nbval-check-output, three are the least"
    for cell in compared:
        if not cell.outputs:
            yield f"cell {cell.execution_count} is to be compared but stores no output"
    loaded = set()
    for cell in code(notebook):
        loading = set(re.findall(r"\bdata\.(brain_age|tumors|heads)\(", cell.source)) - loaded
        loaded |= loading
        if loading and cell in compared:
            yield f"cell {cell.execution_count} is to be compared but may show the bar of the first use of a set"


def hides_no_cell_from_the_tests(notebook, file):
    for cell in code(notebook):  # an attempt may fail, so that Run All goes on with the solution
        hiding = {"nbval-skip", "nbval-raises-exception", *(() if "exercise" in tags(cell) else ("raises-exception",))}
        if re.search(r"NBVAL_|PYTEST_", cell.source) or hiding & set(tags(cell)):
            yield f"cell {cell.execution_count} is skipped by the tests or may fail in them"


# Written to be read -------------------------------------------------------------------------------


def is_plain_python(notebook, file):
    for cell in code(notebook):
        try:
            tree = ast.parse(cell.source)
        except SyntaxError as problem:
            yield f"cell {cell.execution_count} is not plain Python: {problem.text!r}"
            continue
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if "get_ipython" in names or "os.system" in cell.source:
            yield f"cell {cell.execution_count} calls the shell or a magic, whose failure nobody would see"
        if any(line.split("#")[0].rstrip().endswith(";") for line in cell.source.splitlines()):
            yield f"cell {cell.execution_count} ends a line with ';', which hides nothing under nbval"


def keeps_cells_short(notebook, file):
    read = [cell for cell in code(notebook) if "setup" not in tags(cell)]  # the folded list of imports is not
    lengths = sorted(len(cell.source.splitlines()) for cell in read)
    if lengths and lengths[-1] > MAX_CELL_LINES:
        yield f"a code cell has {lengths[-1]} lines, more than {MAX_CELL_LINES}"
    shown = sorted(len(cell.source.splitlines()) for cell in read if "hide-input" not in tags(cell))
    if shown and shown[len(shown) // 2] > 8:
        yield f"the median code cell that is not folded has {shown[len(shown) // 2]} lines, more than 8"


def keeps_lines_short(notebook, file):
    """As many letters as fit a projector at 150 %, beside nothing else."""
    for cell in code(notebook):
        if "install" not in tags(cell) and (length := max(map(len, cell.source.splitlines()), default=0)) > MAX_LINE:
            yield f"cell {cell.execution_count} has a line of {length} letters, more than {MAX_LINE}"


def describes_every_picture(notebook, file):
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", prose(notebook)):
        if len(alt.split()) < 3:
            yield f"the picture {target} has no alternative text"
    for image in re.findall(r"<img[^>]*>", prose(notebook)):
        if not re.search(r'alt="[^"]{10,}"', image):
            yield f"{image} has no alternative text"
    for cell in code(notebook):
        described = sum(line.startswith("Figure: ") for line in printed(cell).splitlines())
        if described < len(pictures(cell)):
            yield f"cell {cell.execution_count} shows a figure without the sentence that describes it"


def says_the_numbers_that_it_printed(notebook, file):
    """`0.79<!-- stored: test AUC -->`: a printed line with these words holds the number, or one within `0.7 to 0.8`."""
    lines = [line for cell in code(notebook) for line in (printed(cell) + "\n" + plain(cell)).splitlines()]
    if len(marks := STORED.findall(prose(notebook))) != prose(notebook).count("<!-- stored:"):
        yield "a mark 'stored' does not follow a number"
    for low, percent, high, unit, key in marks:
        told = [value(text) for text in (low, high or low)]
        slack = 0 if high else 0.5 * 10.0 ** -len(low.partition(".")[2]) + 1e-9
        found = [value(text) for line in lines if key in line for text in re.findall(NUMBER, line)]
        found += [100 * number for number in found] if "%" in percent + unit else []
        if not any(told[0] - slack <= number <= told[1] + slack for number in found):
            yield f"the text says {low}{' to ' + high if high else ''}, but no printed line with {key!r} does"


def opens_with_title_and_table(notebook, file):
    number = file.stem[:2]
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not re.match(rf"# {number} · \S", first.source):
        yield f"the first cell is not a title '# {number} · …'"
    for needed in ("?", "| minutes to teach", "seconds on 2 CPU cores", "you will be able to"):
        if needed not in first.source:
            yield f"the title cell lacks {needed!r}"


def installs_itself_where_it_is_missing(notebook, file, repository):
    if [cell.source for cell in code(notebook, "install")] != [INSTALL.format(repository=repository)]:
        yield "the first code cell is not the two lines that install the project on Colab"
    if code(notebook) and "install" not in tags(code(notebook)[0]):
        yield "the first code cell does not carry the tag 'install'"


def has_imports_and_settings(notebook, file):
    setup = "\n".join(cell.source for cell in code(notebook, "setup"))
    if not re.search(r"^(from|import) presimal\b", setup, re.MULTILINE):
        yield "no cell tagged 'setup' imports from presimal"
    for needed in (
        r"^SEED = ",
        r"^DEVICE = compute\.device\(",
        r"compute\.seed_everything\(SEED\)",
        r"figures\.use_style\(",
    ):
        if not re.search(needed, setup, re.MULTILINE):
            yield f"the settings lack {needed!r}"


def has_exercises(notebook, file):
    attempts = code(notebook, "exercise")
    least = 1 if file.stem.startswith("00") else 4
    if len(attempts) < least:
        yield f"{len(attempts)} exercises, {least} are the least"
    order = [tag for cell in code(notebook) for tag in tags(cell) if tag in ("exercise", "check", "solution")]
    if order != ["exercise", "check", "solution"] * len(attempts):
        yield "exercises are not each an attempt, a check and a solution, in this order"
    for cell in code(notebook, "solution"):
        if cell.source.splitlines()[0] != "# Solution" or "solution" not in cell.source.splitlines()[1]:
            yield f"the solution in cell {cell.execution_count} does not stand under '# Solution' and @solution"
    for cell in attempts:
        if "raises-exception" not in tags(cell):
            yield f"the attempt in cell {cell.execution_count} stops Run All if it fails: tag it raises-exception"
    if f"EXERCISES = {len(attempts)}" not in "\n".join(cell.source for cell in code(notebook, "setup")):
        yield f"the settings do not say EXERCISES = {len(attempts)}"
    for cell in code(notebook, "check"):
        if "not tried yet" not in printed(cell):
            yield f"the check in cell {cell.execution_count} was not stored with an untouched attempt"
        if not cell.source.startswith(("# Check\n", "check(")):
            yield f"the check in cell {cell.execution_count} does not say so in its first line, all that is seen of it"


def folds_what_is_not_taught(notebook, file):
    """In JupyterLab, in Colab and in static pages, each of which has a way of its own."""
    for cell in code(notebook):
        if {"install", "setup", "check", "solution", "drawing"} & set(tags(cell)):
            folded = cell.metadata.get("jupyter", {}).get("source_hidden"), cell.metadata.get("cellView") == "form"
            if not all(folded) or "hide-input" not in tags(cell):
                yield f"cell {cell.execution_count} is not folded everywhere"
        if "drawing" in tags(cell) and not cell.source.startswith("# "):
            yield f"cell {cell.execution_count} does not say in its first line what is folded away"


def asks_whether_it_learned(notebook, file):
    cells = iter(notebook.cells)
    if not any(cell.cell_type == "markdown" and re.search(r"^## Did it learn\?", cell.source, re.M) for cell in cells):
        yield "there is no section '## Did it learn?'"
        return
    until_next = []
    for cell in cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            break
        until_next.append(cell)
    if not any(cell.cell_type == "code" and re.search(r"^\s*assert ", cell.source, re.M) for cell in until_next):
        yield "'Did it learn?' asserts nothing"


def ends_with_a_take_away(notebook, file):
    if not re.search(r"^## Take-away", prose(notebook), re.MULTILINE):
        yield "there is no section '## Take-away'"
    lines = [line for cell in code(notebook) for line in printed(cell).splitlines() if line.startswith("take-away:")]
    if len(lines) != 1 or not TAKE_AWAY.fullmatch(lines[0]):
        yield f"not one line 'take-away: name = value unit (baseline …)' but {lines}"


RULES = [
    is_executed_in_order,
    stores_no_error,
    stores_no_warning,
    stores_no_stray_result,
    stores_no_widget,
    gives_each_widget_a_static_twin,
    holds_no_absolute_path,
    stores_png_only,
    is_small,
    compares_some_outputs,
    hides_no_cell_from_the_tests,
    is_plain_python,
    keeps_cells_short,
    keeps_lines_short,
    describes_every_picture,
    says_the_numbers_that_it_printed,
    opens_with_title_and_table,
    has_imports_and_settings,
    has_exercises,
    folds_what_is_not_taught,
    asks_whether_it_learned,
    ends_with_a_take_away,
]


def violations(notebook, file: Path, repository: str) -> list[str]:
    """Everything that is wrong with a stored notebook."""
    found = [sentence for rule in RULES for sentence in rule(notebook, file)]
    return found + list(installs_itself_where_it_is_missing(notebook, file, repository))
