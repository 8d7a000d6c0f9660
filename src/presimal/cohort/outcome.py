"""The clinic of a glioma: a table with gaps, and a survival drawn from a hazard that we know.
"""


def clinical(person: dict) -> dict:
    return {"observed": {}, "hidden": {}}
