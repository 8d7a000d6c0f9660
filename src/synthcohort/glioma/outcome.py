"""The clinic of a glioma: a table with gaps, and a survival drawn from a hazard that we know.

Survival is Weibull with proportional hazards. Sources of the ratios: unmethylated MGMT promoter
2.13 and less than gross total resection 1.81 (175 patients, Gessler et al., Neurosurgery 84:190,
2019); resection against biopsy 0.54, and 1.70 for older against below 50 y (490 patients,
Cancers 14:3161, 2022); multifocal 2.1 and Karnofsky below 70 1.9 (565 patients, PMID 30347300,
reported there as adjusted odds ratios). The median is that of Stupp et al., N Engl J Med 352:987
(2005): 14.6 months. The weights of core volume and of a tumor that does not enhance are ours.

Of the image, core volume, the number of foci and whether the tumor enhances matter; edema, rim
thickness, side and texture do not. Of the table, sex, symptom and the laboratory value do not.
"""

import math
from datetime import date, timedelta
from typing import NamedTuple

from ..fields import normal, uniform
from ..people import Person

HAZARD_RATIO = {
    "age_decade": 1.25,  # per ten years: 1.7 over 24 years
    "unmethylated": 2.13,
    "subtotal": 1.81,  # subtotal against gross total
    "biopsy": 1.81 / 0.54,  # biopsy against gross total
    "karnofsky_below_70": 1.9,
    "multifocal": 2.1,
    "core_doubling": 1.12,  # per doubling of the core volume
    "non_enhancing": 0.45,
}
SHAPE = 1.35  # Weibull shape: about a quarter alive at two years
LOG_SCALE = 3.71  # log months at log hazard 0; gives a median of 14.6 months over the cohort (tested)
FIRST_DIAGNOSIS, LAST_DIAGNOSIS = date(2012, 1, 2), date(2017, 12, 29)
CUT_OFF = date(2019, 6, 28)  # whoever is alive then is censored
DAYS_PER_MONTH = 30.44
SYMPTOMS = ("headache", "seizure", "weakness", "speech", "confusion")


class Clinic(NamedTuple):
    """`observed`: the columns a student may use; `hidden`: the truth behind them."""

    observed: dict[str, object]
    hidden: dict[str, object]


def clinical(person: Person) -> Clinic:
    """The clinical record of a person with a tumor.

    observed: karnofsky (40 to 100), symptom, mgmt ("methylated", "unmethylated"), resection
    ("gross total", "subtotal", "biopsy"), resected_percent, steroid_mg, ldh (U/l), diagnosis and
    last_seen (ISO dates), months (to death or last seen), died (1 or 0). A missing number is NaN, a
    missing word None. Raises ValueError for a person without a tumor.
    """
    tumor = person.glioma
    if tumor is None:
        raise ValueError(f"Person {person.number} of kind {person.kind!r} has no tumor.")
    draw = person.stream
    u, z = uniform(draw("clinic"), 6).tolist(), normal(draw("clinic measures"), 4).tolist()
    core_ml = 4 / 3 * math.pi * float(tumor.core[0]) ** 3 / 1000
    foci = tumor.foci
    karnofsky = 83 - 0.25 * (person.age - 60) - 2.5 * math.log2(core_ml / 12) + 11 * z[0]
    karnofsky = 10 * round(min(max(karnofsky, 40), 100) / 10)
    unmethylated = u[0] < 0.56
    deep = abs(float(tumor.center[0, 0])) < 24
    reach = u[1] + 0.25 * (foci > 1) + 0.15 * deep + 0.004 * (person.age - 60)
    resection = "gross total" if reach < 0.5 else "subtotal" if reach < 0.92 else "biopsy"
    percent = {"gross total": 100.0, "subtotal": float(round(55 + 43 * u[2])), "biopsy": math.nan}

    log_hazard = sum(
        math.log(HAZARD_RATIO[name]) * amount
        for name, amount in {
            "age_decade": (person.age - 60) / 10,
            "unmethylated": unmethylated,
            "subtotal": resection == "subtotal",
            "biopsy": resection == "biopsy",
            "karnofsky_below_70": karnofsky < 70,
            "multifocal": foci > 1,
            "core_doubling": math.log2(core_ml / 12),
            "non_enhancing": not tumor.enhancing,
        }.items()
    )
    chance = max(float(uniform(draw("survival"), 1)), 1e-6)
    survival = math.exp(LOG_SCALE) * (-math.log(chance) / math.exp(log_hazard)) ** (1 / SHAPE)

    days = (LAST_DIAGNOSIS - FIRST_DIAGNOSIS).days
    diagnosis = FIRST_DIAGNOSIS + timedelta(days=int(u[3] * days))
    followed = (CUT_OFF - diagnosis).days / DAYS_PER_MONTH
    months = min(survival, followed)
    last_seen = diagnosis + timedelta(days=round(months * DAYS_PER_MONTH))
    halo = float(tumor.edema[0] - tumor.core[0])
    gaps = uniform(draw("missing"), 4).tolist()
    mgmt = "unmethylated" if unmethylated else "methylated"
    early, ldh = diagnosis.year < 2014, float(round(200 * math.exp(0.22 * z[2])))
    observed: dict[str, object] = {
        "karnofsky": math.nan if gaps[0] < 0.05 else float(karnofsky),
        "symptom": SYMPTOMS[int(u[4] * len(SYMPTOMS))],
        # A biopsy often yields too little tissue for the test.
        "mgmt": None if gaps[1] < (0.45 if resection == "biopsy" else 0.18) else mgmt,
        "resection": resection,
        "resected_percent": percent[resection],
        "steroid_mg": 2 * round(max(0, 0.5 * halo + 3 * z[1]) / 2),
        # The laboratory was added to the protocol during the study.
        "ldh": math.nan if gaps[2] < (0.4 if early else 0.1) else ldh,
        "diagnosis": diagnosis.isoformat(),
        "last_seen": last_seen.isoformat(),
        "months": round(months, 1),
        "died": int(survival <= followed),
    }
    hidden: dict[str, object] = {
        "log_hazard": log_hazard, "survival_months": survival, "mgmt_unmethylated": unmethylated,
        "karnofsky_true": karnofsky,
    }  # fmt: skip
    return Clinic(observed, hidden)
