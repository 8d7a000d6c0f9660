"""The table *On real people*: what came of each case, a row for each group of cases, beside published tools."""

from dataclasses import dataclass
from datetime import date
from statistics import mean
from typing import NamedTuple

import presimal
from brainscans.interval import Interval

TUMOR_FREE_ML = 3.0  # less whole tumor than this counts as none found
PUBLISHED = {
    "mask": "SynthStrip 0.965 (n 606) [1]; deepbet, T1 only, median 0.990 (n 7,837) [2]",
    "tumor": "winner of BraTS 2020: 0.89 / 0.85 / 0.82 (n 166) [3]",
    "age": "pyment: MAE 3.6 y (n 372) [4]",
}
SOURCES = {
    "[1]": """Hoopes and others, NeuroImage 260:119474, 2022, trained on images drawn from label maps; mean Dice of 606
scans of adults of every modality (SD 0.011), measured by Fani and others, arXiv:2506.11860, 2025.""",
    "[2]": """Fisch and others, Comput Biol Med 179:108845, 2024: trained and, by cross-validation between 191 studies,
tested on 7,837 real T1.""",
    "[3]": """Isensee and others, BrainLes 2020, LNCS 12659:118, 2021: mean Dice of whole tumor, core and enhancing
tumor on the challenge's 166 test patients; trained on 369 real patients with experts' labels.""",
    "[4]": """Leonardsen and others, NeuroImage 256:119210, 2022, from 53,542 real scans; mean absolute error in 372
healthy people of 18 to 86 years, measured by Dörfel and others, Hum Brain Mapp 44:6139, 2023.""",
}
REGIONS = ("whole tumor", "tumor core", "enhancing tumor")
CHOSE = "No network was trained on these scans, but they also chose between its versions, so that the numbers flatter."
HEADER = ("task", "group", "n", "reference", "ours: mean (worst)", "volume or bias", "refused", "published tools")


class Case(NamedTuple):
    """A row of real_cases.csv, as text: see the top of this file."""

    task: str
    name: str
    group: str
    files: str  # FLAIR;T1;T1Gd;T2 for a tumor, "-" for one that is left out
    kind: str  # of the reference
    reference: str
    labels: str
    age: str  # years, or the range of the group

    def scans(self) -> list[str]:
        return self.files.split(";")


@dataclass(frozen=True)
class Result:
    """What came of a case: for each region Dice and volumes, None where there is nothing to compare; an age; or why
    there is no answer, `refused` by the command or `failed` for another reason."""

    dice: tuple[float | None, ...] = ()
    ml: tuple[float | None, ...] = ()
    true_ml: tuple[float | None, ...] = ()
    age: Interval | None = None
    refused: str = ""
    failed: str = ""


Pairs = list[tuple[Case, Result]]


def of_regions(pairs: Pairs) -> tuple[str, str]:
    """Mean and worst Dice of each region, and the mean error of its volume; or how much is marked where none is."""
    if not any(result.dice for _, result in pairs):
        marked = [result.ml[0] or 0.0 for _, result in pairs]
        return f"none found in {sum(ml < TUMOR_FREE_ML for ml in marked)} of {len(pairs)}", f"{max(marked):.1f} ml"
    columns = list(zip(*(result.dice for _, result in pairs), strict=True))
    scores = [[score for score in column if score is not None] for column in columns]
    sizes = [zip(result.ml, result.true_ml, strict=True) for _, result in pairs]
    errors = [[(ml or 0.0) / true - 1 for ml, true in column if true] for column in zip(*sizes, strict=True)]
    average, least, error = (
        " / ".join(show(f(column)) if column else "–" for column in table)
        for table, f, show in ((scores, mean, "{:.3f}".format), (scores, min, "{:.3f}".format), (errors, mean, percent))
    )
    return f"Dice {average}" + f" ({least})" * (len(pairs) > 1), error


def percent(fraction: float) -> str:
    return f"{100 * fraction:+.1f} %".replace("-", "−")


def of_ages(pairs: Pairs) -> tuple[str, str]:
    """Mean and worst error in years, bias, and how often the interval holds the age; or, of a range, what is in it."""
    aged = [(case.age, result.age) for case, result in pairs if result.age]
    if "-" in aged[0][0]:
        low, high = map(float, aged[0][0].split("-"))
        return f"{sum(low <= a.value <= high for _, a in aged)} of {len(aged)} within {aged[0][0]} y", "–"
    errors = [found.value - float(age) for age, found in aged]
    inside = mean(found.low <= float(age) <= found.high for age, found in aged)
    return (
        f"MAE {mean(map(abs, errors)):.1f} y ({max(map(abs, errors)):.1f})",
        f"{mean(errors):+.1f} y; {inside:.0%} inside".replace("-", "−"),
    )


def row(pairs: Pairs) -> tuple[str, ...]:
    """The row of one group; n counts the cases that could be examined."""
    case, examined = pairs[0][0], [pair for pair in pairs if not pair[1].failed]
    answered = [pair for pair in examined if not pair[1].refused]
    said, error = "–", "–"
    if case.task == "refuse":
        said = f"accepted: {', '.join(other.name for other, _ in answered)}" if answered else "–"
    elif answered:
        said, error = (of_ages if case.task == "age" else of_regions)(answered)
    comparable = case.task in PUBLISHED and (case.reference or case.age or case.task == "mask")
    beside, refused = PUBLISHED[case.task] if comparable else "–", len(examined) - len(answered)
    return case.task, case.group, str(len(examined)), case.kind, said, error, str(refused), beside


def worst(pairs: Pairs) -> list[str]:
    """For the brain and each region of a tumor, the case with the lowest Dice."""
    scores: dict[str, list[tuple[float, str]]] = {}
    for case, result in pairs:
        for region, score in zip(REGIONS if case.task == "tumor" else ("brain",), result.dice, strict=False):
            scores.setdefault(region, []).extend([] if score is None else [(score, case.name)])
    least = {region: min(found) for region, found in scores.items() if found}
    return [f"Worst {region}: {name}, Dice {score:.3f}." for region, (score, name) in least.items()]


def report(pairs: Pairs) -> str:
    """The table, a row a group, with the worst cases, what was refused, what failed, and the sources."""
    groups: dict[tuple[str, str], Pairs] = {}
    for case, result in pairs:
        groups.setdefault((case.task, case.group), []).append((case, result))
    rows = ["| " + " | ".join(cells) + " |" for cells in (HEADER, ["---"] * len(HEADER), *map(row, groups.values()))]
    said = worst(pairs)
    said += [f"Refused: {case.task} {case.name}: {result.refused}" for case, result in pairs if result.refused]
    said += [f"Not examined: {case.task} {case.name}: {result.failed}" for case, result in pairs if result.failed]
    made = f"{date.today()}, version {presimal.__version__}. {CHOSE}"
    sources = "\n".join(f"{mark} {source}" for mark, source in SOURCES.items() if any(mark in line for line in rows))
    return "\n\n".join(["## On real people", "\n".join(rows), *said, made, sources]).rstrip()
