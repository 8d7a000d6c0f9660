"""How old a brain looks: volumes of its tissues against published charts, with an interval. Adults' T1 only.

    estimate = estimate_age("head.nii.gz")
    print(f"{estimate.age:.0f}")     # 46 [25, 66]

The image enters only through the volumes of tissues (`tissues.py`), and no image of a person was trained on. Bayes'
rule asks at which ages brains with so much gray for their white matter, such ventricles, and so much tissue for the
fluid around it are common. People of one age differ much in these, hence the wide interval. Not for clinical use."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.stats import chi2, norm

from synthcohort.storage import DataError

from . import networks
from .interval import Interval, raise_if
from .scans import Device, File, read_scan
from .tissues import WEIGHTS, Tissues, find_tissues

AGES = np.arange(18.0, 98.0)  # years
LEVEL = 0.90  # of the interval
MEASURES = ("gray_over_white", "ventricle", "tissue")  # logarithms; the latter two as fractions of what is in the skull
# Logarithms of centiles 5, 50 and 95 of volumes in ml at these ages; how much of our labels' volume those of the charts
# hold, beside OTHER_ML of the ventricles and MORE_GRAY of gray over white; how much more of a brain they fill in women,
# compared with men, percent. The file says how all were found.
_TABLE = np.genfromtxt(Path(__file__).with_name("charts.csv"), str, delimiter=",")
CHART_AGES = _TABLE[0, 4:].astype(float)
CHARTS = dict(zip(_TABLE[1::3, 0], np.log(_TABLE[1:, 4:].astype(float)).reshape(-1, 3, len(CHART_AGES)), strict=True))
HELD, WOMEN = (dict(zip(_TABLE[1::3, 0].tolist(), column, strict=True)) for column in _TABLE[1::3, 1:3].astype(float).T)
MORE_GRAY, OTHER_ML = 0.95, 5.4
COMMON_ML = 1400.0  # of the skull's content in these charts: with it they agree with labels of twelve people
OPPOSITE = -0.6  # correlation of gray and white at one age, from the spread of their sum in the same table
DRAWN = 0.75  # scans scatter so much less than images drawn of label maps: chosen on 21 development people
# Tissue over the skull's content: our fit to OASIS-1, 316 people without dementia (Marcus et al., J Cogn Neurosci
# 19:1498, 2007), as in synthcohort/brain/aging.toml; spread at 20 and at 80 years, of the logarithm.
TISSUE, TISSUE_SPREAD = (0.8472, 5.04e-4, -2.28e-5), (0.024, 0.040)
CORRELATION = np.array([[1.0, 0.0, 0.2], [0.0, 1.0, -0.4], [0.2, -0.4, 1.0]])  # of MEASURES at one age; ours
FREEDOM = 6.0  # of a t distribution, whose tails keep one odd measure from deciding alone; ours
CEREBELLUM_GRAY = 0.75  # of its volume
SMALLEST, LARGEST = 850, 2200  # ml of the skull's content in adults
ODD = 0.001  # probability below which measures fit no age


@dataclass(frozen=True)
class AgeEstimate:
    """An age in years, the median of `probability`, with the interval that holds LEVEL of it, and where it is from."""

    age: Interval
    probability: np.ndarray  # of each of AGES
    intracranial_ml: float
    volumes_ml: dict[str, float]
    centiles: dict[str, float]  # of MEASURES among people of that age, 0 to 100
    warnings: list[str] = field(default_factory=list)

    def volume_centiles(self, years: float | None = None, sex: str | None = None) -> dict[str, float]:
        """Centiles, 0 to 100, of volumes that have a chart, scaled to the size of the head, among healthy people of
        these years and this sex, "F" or "M", or both; without years of those of `age`, told from the same volumes, so
        that they only say how these fit together. Logarithms count as normal, each side with a spread of its own."""
        at, found = np.abs(AGES - (self.age.value if years is None else years)).argmin(), {}
        for name in sorted(HELD.keys() & self.volumes_ml):
            low, middle, high = np.log(chart(name, sex)[:, at])
            away = np.log(max(self.volumes_ml[name], 0.1) * COMMON_ML / self.intracranial_ml) - middle
            found[name] = float(100 * norm.cdf(1.645 * away / (high - middle if away > 0 else middle - low)))
        return found


def measures(volumes_ml: dict[str, float]) -> np.ndarray:
    """MEASURES (3,) of volumes by the names of TISSUES."""
    cortex = sum(volumes_ml[name] for name in ("cortex", "striatum", "thalamus", "hippocampus"))
    gray = cortex + CEREBELLUM_GRAY * volumes_ml["cerebellum"]
    white = volumes_ml["white"] + (1 - CEREBELLUM_GRAY) * volumes_ml["cerebellum"]
    solid = gray + white + volumes_ml["stem"]
    content = sum(volume for name, volume in volumes_ml.items() if name != "outside")
    return np.log([gray / white, max(volumes_ml["ventricle"], 1.0) / content, solid / content])


def corrected(raw: np.ndarray, fluid: float, correction: list[list[float]]) -> np.ndarray:
    """Measures (3,) without what the network does to them where fluid has this signal, by `correction` (3, 3), found on
    label maps (scripts/train_tissues.py): intercept, and factors of the measure and of fluid's signal."""
    return (np.stack([np.ones(3), raw, np.full(3, fluid)], 1) * np.asarray(correction)).sum(1)


def chart(name: str, sex: str | None = None) -> np.ndarray:
    """Centiles 5, 50 and 95 (3, len(AGES)) of a volume of our labels in ml, in a head of COMMON_ML."""
    more = {"F": 0.005, "M": -0.005}.get(sex or "", 0.0) * WOMEN[name]
    return np.exp([_extended(row) + more for row in CHARTS[name]]) / HELD[name] + OTHER_ML * (name == "ventricle")


def charts() -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (len(AGES), 3) of MEASURES, as FreeSurfer's labels have them, at each of AGES."""
    logs = np.stack([CHARTS[name] for name in ("gray", "white", "ventricle")])
    gray, white, _ = (_extended(middle) for middle in logs[:, 1])
    spread = [_extended((high - low) / (2 * 1.645)) for low, _, high in logs]
    tissue = np.log(np.polynomial.Polynomial(TISSUE)(AGES))
    ratio = np.sqrt(spread[0] ** 2 + spread[1] ** 2 - 2 * OPPOSITE * spread[0] * spread[1])
    means = (gray - white - np.log(MORE_GRAY), np.log(chart("ventricle")[1] / COMMON_ML), tissue)
    return np.stack(means, 1), np.stack([ratio, spread[2], np.interp(AGES, (20, 80), TISSUE_SPREAD)], 1)


def _extended(values: np.ndarray) -> np.ndarray:
    """Values at CHART_AGES, linear between them and on beyond the first and last ones, at each of AGES."""
    slopes = np.diff(values) / np.diff(CHART_AGES)
    before, after = np.minimum(AGES - CHART_AGES[0], 0), np.maximum(AGES - CHART_AGES[-1], 0)
    return np.interp(AGES, CHART_AGES, values) + before * slopes[0] + after * slopes[-1]


def posterior(measured: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, float]:
    """Probability of each of AGES given MEASURES (3,) with the standard deviations `error` (3,) of their own, all ages
    being alike before; and the squared distance of the measures from the age that fits best, in standard deviations."""
    means, spreads = charts()
    covariances = spreads[:, :, None] * spreads[:, None] * CORRELATION + np.diag(np.square(error))
    away = measured - means
    squares = np.einsum("ki,ki->k", away, np.linalg.solve(covariances, away[:, :, None])[:, :, 0])
    log = -0.5 * np.linalg.slogdet(covariances)[1] - (FREEDOM + 3) / 2 * np.log1p(squares / FREEDOM)
    weight = np.exp(log - log.max())
    return weight / weight.sum(), float(squares.min())


def quantile(probability: np.ndarray, level: float) -> float:
    """The age below which `level` of the probability lies, years; each of AGES is a year wide."""
    return float(np.interp(level, np.r_[0, probability.cumsum()], np.r_[AGES, AGES[-1] + 1] - 0.5))


def estimate_age(file: File, device: Device = None) -> AgeEstimate:
    """How old the brain in a T1 looks, with or without skull. DataError, in one sentence that begins with the file, for
    what is no T1 of an adult's whole brain; what else speaks against an answer is in `warnings`."""
    scan = read_scan(file)
    model, header = networks.load(WEIGHTS)
    try:
        return age_of(find_tissues(*scan, model, device), header["correction"], header["error"])
    except DataError as problem:
        raise DataError(f"{file}: {problem}") from None


def age_of(found: Tissues, correction: list[list[float]], error: list[float]) -> AgeEstimate:
    """The age that tissues show; `correction` (3, 3) and `error` (3,) the network's. DataError for no adult's skull."""
    content = found.brain.volume_ml
    wrong = f"What is in the skull has {content:.0f} ml, which no adult has: are voxel size and orientation right?"
    raise_if(not SMALLEST < content < LARGEST, wrong, DataError)
    measured, scatter = corrected(measures(found.volumes_ml), found.fluid, correction), DRAWN * np.array(error)
    probability, distance = posterior(measured, scatter)
    age = Interval(*(quantile(probability, level) for level in (0.5, (1 - LEVEL) / 2, (1 + LEVEL) / 2)))
    means, spreads = (table[np.argmin(np.abs(AGES - age.value))] for table in charts())
    centiles = 100 * norm.cdf((measured - means) / np.hypot(spreads, scatter))
    no_age = "its volumes fit no age: is there a tumor, a large lesion, or wide ventricles?"
    young = "it looks as young as the charts begin, at 18 years: children are not covered"
    odd = [no_age] * bool(chi2.sf(distance, 3) < ODD) + [young] * bool(probability[AGES < 20].sum() > 0.25)
    by_name = dict(zip(MEASURES, centiles.tolist(), strict=True))
    return AgeEstimate(age, probability, content, found.volumes_ml, by_name, found.warnings + odd)
