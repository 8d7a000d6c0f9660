"""The clinic of a glioma: a table with gaps, and a survival drawn from a hazard that we know.

Weibull with proportional hazards; the ratios and their sources stand in outcome.toml. Edema, rim thickness, side and
texture of the tumor, sex, symptom and the laboratory value do not matter.
"""

import math
from dataclasses import dataclass
from datetime import timedelta

from ..fields import between, normal, uniform
from ..people import Person
from ..tables import constants

C = constants(__file__)
HAZARD_RATIO: dict[str, float] = C.hazard_ratio
DAYS_PER_MONTH = 30.44
SYMPTOMS = ("headache", "seizure", "weakness", "speech", "confusion")


@dataclass(frozen=True)
class Observed:
    """What a clinic knows of a patient. A missing number is NaN, a missing word None."""

    karnofsky: float  # 40 to 100
    symptom: str  # one of SYMPTOMS
    mgmt: str | None  # "methylated" or "unmethylated"
    resection: str  # "gross total", "subtotal" or "biopsy"
    resected_percent: float
    steroid_mg: int
    ldh: float  # U/l
    diagnosis: str  # ISO date
    last_seen: str  # ISO date
    months: float  # from the diagnosis to death or to `last_seen`
    died: int  # 1 or 0


@dataclass(frozen=True)
class Hidden:
    """What decided about a patient, without gaps and without the end of the study."""

    log_hazard: float
    survival_months: float
    mgmt_unmethylated: bool
    karnofsky_true: int


def clinical(person: Person) -> tuple[Observed, Hidden]:
    """The record of a person with a tumor, and the truth. Raises ValueError for a person without one."""
    tumor = person.glioma
    if tumor is None:
        raise ValueError(f"Person {person.number} of kind {person.kind!r} has no tumor.")
    u, z = uniform(person.stream("clinic"), 6).tolist(), normal(person.stream("clinic measures"), 4).tolist()
    doublings = math.log2(4 / 3 * math.pi * float(tumor.core[0]) ** 3 / 1000 / C.core_ml)
    older, halo = person.age - C.age, float(tumor.edema[0] - tumor.core[0])
    fitness = C.karnofsky + C.karnofsky_per_year * older + C.karnofsky_per_doubling * doublings + C.karnofsky_sd * z[0]
    karnofsky = 10 * round(min(max(fitness, C.karnofsky_limits[0]), C.karnofsky_limits[1]) / 10)
    unmethylated, deep = u[0] < C.unmethylated, abs(float(tumor.center[0, 0])) < C.deep_mm
    reach = u[1] + C.reach_foci * (tumor.foci > 1) + C.reach_deep * deep + C.reach_per_year * older
    resection = "gross total" if reach < C.subtotal else "subtotal" if reach < C.biopsy else "biopsy"
    percent = {"gross total": 100.0, "subtotal": float(round(between(C.subtotal_percent, u[2]))), "biopsy": math.nan}
    amounts = {
        "age_decade": older / 10, "unmethylated": unmethylated,
        "subtotal": resection == "subtotal", "biopsy": resection == "biopsy",
        "karnofsky_below_70": karnofsky < C.low_karnofsky, "multifocal": tumor.foci > 1,
        "core_doubling": doublings, "non_enhancing": not tumor.enhancing,
    }  # fmt: skip
    log_hazard = sum(math.log(HAZARD_RATIO[name]) * amount for name, amount in amounts.items())
    chance = max(float(uniform(person.stream("survival"), 1)), 1e-6)
    survival = math.exp(C.log_scale) * (-math.log(chance) / math.exp(log_hazard)) ** (1 / C.shape)

    diagnosis = C.first_diagnosis + timedelta(days=int(u[3] * (C.last_diagnosis - C.first_diagnosis).days))
    followed = (C.cut_off - diagnosis).days / DAYS_PER_MONTH
    months = min(survival, followed)
    last_seen = diagnosis + timedelta(days=round(months * DAYS_PER_MONTH))
    gaps = uniform(person.stream("missing"), 4).tolist()
    no_mgmt = C.no_mgmt_biopsy if resection == "biopsy" else C.no_mgmt
    no_ldh = C.no_ldh_early if diagnosis.year < C.ldh_from else C.no_ldh
    observed = Observed(
        karnofsky=math.nan if gaps[0] < C.no_karnofsky else float(karnofsky),
        symptom=SYMPTOMS[int(u[4] * len(SYMPTOMS))],
        mgmt=None if gaps[1] < no_mgmt else "unmethylated" if unmethylated else "methylated",
        resection=resection, resected_percent=percent[resection],
        steroid_mg=2 * round(max(0, C.steroid_per_mm * halo + C.steroid_sd * z[1]) / 2),
        ldh=math.nan if gaps[2] < no_ldh else float(round(C.ldh * math.exp(C.ldh_sd * z[2]))),
        diagnosis=diagnosis.isoformat(), last_seen=last_seen.isoformat(),
        months=round(months, 1), died=int(survival <= followed),
    )  # fmt: skip
    return observed, Hidden(log_hazard, survival, unmethylated, karnofsky)
