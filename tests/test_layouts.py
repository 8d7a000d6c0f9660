"""Bad data is refused: one sentence, with the file and the remedy."""

import gzip
import json
import os
import pathlib
import re
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from presimal import data
from presimal.data import checks
from synthcohort.storage import DataError

SHAPE = (9, 10, 8)
AFFINE = np.diag([4.0, 4, 4, 1])


def save(file, values, affine=AFFINE):
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), file)


def noise(*more, seed):
    return np.random.default_rng(seed).normal(size=(*SHAPE, *more)).astype(np.float32)


def brains(folder):
    rows = []
    for k in range(6):
        save(folder / f"t1/s{k}.nii.gz", noise(seed=k))
        rows.append((f"t1/s{k}.nii.gz", f"s{k}", "MF"[k % 2], 20.0 + 10 * k, "north"))
    header = ["t1_path", "subject_id", "gender", "age_at_scan", "site"]
    pd.DataFrame(rows, columns=header).to_csv(folder / "dataset.csv", index=False)


def tumors(folder):
    cases = []
    for k in range(6):
        save(folder / f"imagesTr/c{k}.nii.gz", noise(4, seed=k))
        save(folder / f"labelsTr/c{k}.nii.gz", (np.arange(720).reshape(SHAPE) % 4).astype(np.uint8))
        cases.append({"image": f"./imagesTr/c{k}.nii.gz", "label": f"./labelsTr/c{k}.nii.gz"})
    listed = {
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        "training": cases,
    }
    (folder / "dataset.json").write_text(json.dumps(listed))
    table = pd.DataFrame({"subject_id": [f"c{k}" for k in range(6)], "age": 60.0, "sex": "F"})
    table.to_csv(folder / "clinical.csv", index=False)


def heads(folder):
    for k in range(6):
        save(folder / f"image/h{k}_image.nii.gz", noise(seed=k))
        save(folder / f"label/h{k}_label.nii.gz", (noise(seed=k) > 0).astype(np.uint8))


MAKE = {"brain_age": brains, "tumors": tumors, "heads": heads}
OPEN = {"brain_age": data.brain_age, "tumors": data.tumors, "heads": data.heads}


@pytest.fixture
def scans(tmp_path, monkeypatch):
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path / "data"))

    def make(name):
        folder = tmp_path / name
        folder.mkdir()
        MAKE[name](folder)
        return folder

    return make


# Ways to spoil a folder


def cell(column, value, row=0, file="dataset.csv"):
    def spoil(folder):
        table = pd.read_csv(folder / file).astype(object)
        table.loc[row, column] = value
        table.to_csv(folder / file, index=False)

    return spoil


def column(name, values=None, file="dataset.csv"):
    def spoil(folder):
        table = pd.read_csv(folder / file)
        table = table.drop(columns=name) if values is None else table.assign(**{name: values})
        table.to_csv(folder / file, index=False)

    return spoil


def rows(keep, file="dataset.csv"):
    return lambda folder: pd.read_csv(folder / file).iloc[keep].to_csv(folder / file, index=False)


def text(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def gone(name):
    def spoil(folder):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def copied(one, other):
    return lambda folder: shutil.copy(folder / one, folder / other)


def cut(name):
    def spoil(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return spoil


def voxels(name, change):
    """Store what `change` makes of the voxels; None: change them in place."""

    def spoil(folder):
        values = np.asarray(nib.load(folder / name).dataobj).copy()
        changed = change(values)
        save(folder / name, values if changed is None else changed)

    return spoil


def put(where, value):
    return lambda values: values.__setitem__(where, value)


def affine(name, new):
    return lambda folder: save(folder / name, np.asarray(nib.load(folder / name).dataobj), new)


def one_person(folder):
    for file in sorted(folder.glob("*/*.nii.gz")):
        name = file.name.replace("h0", "IXI002-Guys-0828").replace("h1", "IXI002-HH-0829")
        file.rename(file.with_name(name))


def flat(folder):
    image = nib.Nifti1Image(noise(seed=9), None)
    image.set_sform(np.diag([4.0, 4, 0, 1]), "scanner")
    nib.save(image, folder / "t1/s1.nii.gz")


def moved(*steps):
    new = AFFINE.copy()
    new[:3, 3] = steps
    return new


def listed(change):
    def spoil(folder):
        content = json.loads((folder / "dataset.json").read_text())
        change(content)
        (folder / "dataset.json").write_text(json.dumps(content))

    return spoil


SPLITS = ["train", "train", "train", "train", "valid", "test"]
T1, IMAGE, LABEL = "t1/s1.nii.gz", "imagesTr/c1.nii.gz", "labelsTr/c1.nii.gz"
HEAD, MASK = "image/h1_image.nii.gz", "label/h1_label.nii.gz"
BAD = {
    # the table of a brain age set
    "no table": ("brain_age", gone("dataset.csv"), "dataset.csv: is not there; write a table with t1_path"),
    "no csv": ("brain_age", text("dataset.csv", b"\x89PNG\xff\xfe\x00"), "dataset.csv: is not text encoded as UTF-8"),
    "no column": ("brain_age", column("age_at_scan"), "no column age_at_scan; it needs"),
    "no rows": ("brain_age", rows([]), "lists no subject; add"),
    "no path": ("brain_age", cell("t1_path", None), "as the path of an image; write the path"),
    "no id": ("brain_age", cell("subject_id", None, 2), "row 3 has no subject_id; fill it in"),
    "blank id": ("brain_age", cell("subject_id", "  ", 1), "row 2 has no subject_id; fill it in"),
    "row twice": ("brain_age", rows([0, 1, 2, 2]), "lists .*s2.nii.gz twice; keep one"),
    "two sexes": ("brain_age", cell("subject_id", "s0", 1), "s0 is both M and F; give two people two ids"),
    "odd sex": ("brain_age", cell("gender", 2, 3), "sex '2' of s3 is neither M nor F; write M, F"),
    "negative age": ("brain_age", cell("age_at_scan", -1), "age -1.* of s0 is not in 0 to 120 years; correct it"),
    "age in months": ("brain_age", cell("age_at_scan", 612, 4), "age 612.* of s4 is not in 0 to 120 years; corr"),
    "no age": ("brain_age", cell("age_at_scan", None, 5), "age nan of s5 is not in 0 to 120 years; correct it"),
    "age in words": ("brain_age", cell("age_at_scan", "old", 1), "age old of s1 is not in 0 to 120 years; corr"),
    "odd split": ("brain_age", column("split", [*SPLITS[:5], "exam"]), "split 'exam' is not one of train, val"),
    "no test": ("brain_age", column("split", ["train"] * 5 + ["valid"]), "no subject is in test; fill it, or"),
    "subject in two splits": (
        "brain_age",
        lambda folder: (column("split", SPLITS)(folder), cell("subject_id", "s5", 3)(folder)),
        "subject s5 is in two splits; keep a subject in one",
    ),
    # a volume
    "no image": ("brain_age", gone(T1), "s1.nii.gz: is listed but not there; restore"),
    "truncated": ("brain_age", cut(T1), "s1.nii.gz: is cut short or damaged; copy or"),
    "empty": ("brain_age", text(T1, b""), "s1.nii.gz: is empty; copy"),
    "a web page": ("brain_age", text(T1, gzip.compress(b"<html>" * 100)), "s1.nii.gz: is no image of a kind"),
    "NaN": ("brain_age", voxels(T1, put((4, 4, 4), np.nan)), "s1.nii.gz: holds NaN or infinite voxels; repair"),
    "infinite": ("brain_age", voxels(T1, put((4, 4, 4), np.inf)), "s1.nii.gz: holds NaN or infinite"),
    "constant": ("brain_age", voxels(T1, put(..., 7)), "s1.nii.gz: the volume has one value everywhere; export"),
    "a slice": ("brain_age", voxels(T1, lambda v: v[:, :, :1]), r"\(9, 10, 1\), a slice and no volume; store"),
    "a slab": ("brain_age", voxels(T1, lambda v: v[:, :7]), r"\(9, 7, 8\), a slice and no volume; store"),
    "four dimensions": ("brain_age", voxels(T1, lambda v: v[..., None] * [1, 2]), "not one volume; store"),
    "complex": ("brain_age", voxels(T1, lambda v: v + 1j * v), "type complex64; store real numbers"),
    "flat affine": ("brain_age", flat, "affine that cannot be inverted; set the"),
    "meters": ("brain_age", affine(T1, np.diag([0.004, 0.004, 0.004, 1])), "0.004 mm; correct the unit"),
    "tenths": ("brain_age", affine(T1, np.diag([4.0, 40, 4, 1])), "4 x 40 x 4 mm; correct the unit"),
    "one person under two ids": ("brain_age", copied("t1/s0.nii.gz", T1), "same voxels as .*s0.nii.gz; remove"),
    # a tumor set
    "no json": ("tumors", gone("dataset.json"), "dataset.json: is not there; name the folder"),
    "broken json": ("tumors", text("dataset.json", b"{"), "does not list modality, labels and training cases"),
    "no training": ("tumors", listed(lambda c: c.pop("training")), "does not list modality, labels and training"),
    "no case": ("tumors", listed(lambda c: c["training"].clear()), "lists no subject; add"),
    "another order": (
        "tumors", listed(lambda c: c["modality"].update({"0": "T1w", "1": "FLAIR"})),
        "stack FLAIR, T1w, T1gd, T2w in this order",
    ),
    "labels of BraTS": (
        "tumors", listed(lambda c: c["labels"].update({"1": "non-enhancing tumor", "2": "edema"})),
        "map them to 0 background, 1 edema, 2 non-enh",
    ),
    "labels swapped": (
        "tumors", listed(lambda c: c["labels"].update({"2": "enhancing tumour", "3": "non-enhancing tumor"})),
        "map them to 0 background, 1 edema, 2 non-enh",
    ),
    "labels of another kind": (
        "tumors", listed(lambda c: c["labels"].update({"3": "non-enhancing core"})), "map them to 0 background"
    ),
    "five labels": ("tumors", listed(lambda c: c["labels"].update({"4": "cyst"})), "map them to 0 background"),
    "case twice": (
        "tumors", listed(lambda c: c["training"].append(c["training"][0])),
        "dataset.json: lists .*c0.nii.gz twice; keep",
    ),
    "same name in two folders": (
        "tumors", listed(lambda c: c["training"][1].update(image="./more/c0.nii.gz")),
        "dataset.json: lists subject c0 twice; keep",
    ),
    "no path of an image": ("tumors", listed(lambda c: c["training"][0].update(image=3)), "lists 3 as the path"),
    "missing modality": ("tumors", voxels(IMAGE, lambda v: v[..., :3]), "a modality is missing; stack all"),
    "one modality only": ("tumors", voxels(IMAGE, lambda v: v[..., 0]), "a modality is missing; stack all"),
    "empty modality": ("tumors", voxels(IMAGE, put((..., 2), 0)), "modality 2 has one value everywhere; exp"),
    "no label": ("tumors", gone(LABEL), "labelsTr.c1.nii.gz: is listed but not there; restore"),
    "truncated label": ("tumors", cut(LABEL), "labelsTr.c1.nii.gz: is cut short or damaged; copy"),
    "label of another shape": ("tumors", voxels(LABEL, lambda v: v[1:]), r"\(8, 10, 8\), its image \(9, 10, 8\); r"),
    "labels of one-hot code": (
        "tumors", voxels(LABEL, lambda v: np.stack([v == k for k in range(4)], -1).astype(np.uint8)),
        r"\(9, 10, 8, 4\), not one volume of labels; number them in one",
    ),
    "labels for an image": ("tumors", voxels(IMAGE, lambda v: np.sign(v)), "modality 0 holds labels and no image"),
    "a mask for an image": ("heads", copied(MASK, HEAD), "h1_image.nii.gz: the volume holds labels and no image"),
    "label elsewhere": ("tumors", affine(LABEL, moved(0, 0, 4)), "elsewhere than its image; copy"),
    "label mirrored": ("tumors", affine(LABEL, np.diag([-4.0, 4, 4, 1])), "elsewhere than its image; copy"),
    "label of 4": ("tumors", voxels(LABEL, put((1, 1, 1), 4)), "label 4, not 0 to 3; map"),
    "fraction as label": ("tumors", voxels(LABEL, lambda v: v * np.float32(0.5)), "label 0.5, not 0 to 3; map"),
    "NaN as label": (
        "tumors", voxels(LABEL, lambda v: np.where(v == 1, np.nan, v)), "label nan, not 0 to 3; map"
    ),
    "clinic without a case": ("tumors", rows([0, 1, 2, 3, 4], "clinical.csv"), "has no row for c5; add it"),
    "clinic with a case twice": ("tumors", rows([0, 1, 2, 3, 4, 5, 5], "clinical.csv"), "lists subject c5 twice"),
    "clinic with a wrong age": ("tumors", cell("age", 600, 0, "clinical.csv"), "age 600.* of c0 is not in 0 to"),
    "clinic with a wrong sex": ("tumors", cell("sex", "x", 0, "clinical.csv"), "sex 'x' of c0 is neither"),
    # a set of heads
    "no images": ("heads", gone("image"), "image: holds no .nii.gz file; name the folder"),
    "head without mask": ("heads", gone(MASK), "h1_image.nii.gz: has no label; add .*h1_label.nii.gz"),
    "mask without head": ("heads", gone(HEAD), "h1_label.nii.gz: has no image; add .*h1_image.nii.gz"),
    "mask of 255": ("heads", voxels(MASK, lambda v: v * 255), "label 255, not 0 to 1; map"),
    "empty mask": ("heads", voxels(MASK, put(..., 0)), "marks no border: all in or all out; draw"),
    "mask elsewhere": ("heads", affine(MASK, np.diag([4.0, 4, 4.5, 1])), "elsewhere than its image"),
    "heads with a wrong sex": (
        "heads", text("dataset.csv", b"subject_id,gender\nh0,w\n"), "dataset.csv: sex 'w' of h0 is neither"
    ),
    "heads with a wrong age": (
        "heads", text("dataset.csv", b"subject_id,age_at_scan\nh0,444\n"), "age 444.* of h0 is not in 0 to 120"
    ),
    "two heads of one person": ("heads", one_person, "lists subject IXI002 twice; keep one"),
    "head in two rows": (
        "heads", text("dataset.csv", b"subject_id,age_at_scan\nh0,44\nh0,45\n"),
        "dataset.csv: lists subject h0 twice; keep one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_refused(scans, name):
    kind, spoil, problem = BAD[name]
    folder = scans(kind)
    spoil(folder)
    with pytest.raises(DataError) as refused:
        OPEN[kind](folder, progress=False)
    said = str(refused.value)
    assert re.search(problem, said)
    assert said.startswith(str(folder)) and said.endswith(".") and "\n" not in said
    assert "; " in said  # what is wrong; and the remedy


@pytest.mark.parametrize("name", OPEN)
def test_good_data_is_taken(scans, name):
    table = OPEN[name](scans(name), progress=False)
    assert len(table) == 6 and list(table.split).count("train") == 4
    assert list(table.subject_id) == sorted(table.subject_id)


def test_good_data_in_other_words_is_taken(scans):
    folder = scans("tumors")
    listed(lambda c: c["labels"].update({"1": "Oedema", "3": "Enhancing tumor"}))(folder)
    cell("age", None, 0, "clinical.csv")(folder)
    table = data.tumors(str(folder), progress=False)
    assert np.isnan(table.age[0])
    folder = scans("heads")
    (folder / "image/._h1_image.nii.gz").write_bytes(b"what macOS leaves in archives")
    save(folder / "image/h0_image.nii.gz", noise(1, seed=9))  # a fourth dimension of one
    assert len(data.heads(folder, progress=False)) == 6


def test_scans_of_one_person_may_be_many(scans):
    folder = scans("brain_age")
    cell("subject_id", "s0", 2)(folder)
    table = data.brain_age(folder, progress=False)
    assert table.subject_id.nunique() == 5 and table[table.subject_id == "s0"].split.nunique() == 1


@pytest.mark.parametrize("separator, decimal", [(",", "."), (";", ","), (";", "."), ("\t", ",")])
def test_numbers_are_numbers_with_any_separator(scans, separator, decimal):
    """Two whole numbers beside each other in a table with commas are no number with a decimal comma."""
    folder = scans("brain_age")
    source = folder / "dataset.csv"
    table = pd.read_csv(source).assign(visit=3, dose=[0.5 + k for k in range(6)], height=170)
    table.to_csv(source, index=False, sep=separator, decimal=decimal)
    found = data.brain_age(folder, progress=False)
    assert found.dose.tolist() == table.dose.tolist() and found.age.tolist() == table.age_at_scan.tolist()


def test_a_split_of_ones_own_is_kept(scans):
    folder = scans("brain_age")
    column("split", SPLITS)(folder)
    assert list(data.brain_age(folder, progress=False).split) == SPLITS


def test_hospitals_are_read_from_the_names_of_ixi(scans):
    folder = scans("brain_age")
    table = pd.read_csv(folder / "dataset.csv").drop(columns="site")
    for k, hospital in enumerate(["Guys", "HH", "IOP"] * 2):
        name = f"t1/IXI00{k}-{hospital}-0{k}28-T1.nii.gz"
        (folder / table.t1_path[k]).rename(folder / name)
        table.loc[k, ["t1_path", "subject_id"]] = name, f"IXI00{k}"
    table.to_csv(folder / "dataset.csv", index=False)
    assert list(data.brain_age(folder, progress=False).site) == ["Guys", "HH", "IOP"] * 2


def test_files_are_read_once_until_one_changes(scans, monkeypatch):
    folder, opened, load = scans("heads"), [], nib.load
    monkeypatch.setattr(nib, "load", lambda file: opened.append(file) or load(file))
    data.heads(folder, progress=False)
    assert len(opened) == 12
    data.heads(folder, progress=False)
    assert len(opened) == 12
    voxels(MASK, put((0, 0, 0), 5))(folder)
    with pytest.raises(DataError, match="label 5"):
        data.heads(folder, progress=False)


@pytest.mark.parametrize("differs", ["time", "size"])
def test_a_file_that_changed_in_time_or_size_alone_is_read_again(scans, differs):
    """A mask drawn anew has often the same size, and a copy may keep the time of its original."""
    folder = scans("heads")
    image = nib.load(folder / MASK)
    sound, spoiled = np.asarray(image.dataobj).copy(), np.asarray(image.dataobj).copy()
    spoiled[0, 0, 0] = 5
    contents = [gzip.compress(nib.Nifti1Image(v, AFFINE).to_bytes(), 0, mtime=0) for v in (sound, spoiled)]
    assert len(contents[0]) == len(contents[1])
    (folder / MASK).write_bytes(contents[0])
    data.heads(folder, progress=False)
    before = (folder / MASK).stat()
    (folder / MASK).write_bytes(contents[1] + (b"\0" * 8 if differs == "size" else b""))  # padding is no fault
    later = 0 if differs == "size" else 1000
    os.utime(folder / MASK, ns=(before.st_atime_ns, before.st_mtime_ns + later))
    with pytest.raises(DataError, match="label 5"):
        data.heads(folder, progress=False)


def test_a_check_that_cannot_be_remembered_is_no_error(scans, monkeypatch):
    def refused(contents):
        raise PermissionError

    monkeypatch.setattr(checks, "write_files", refused)
    assert len(data.heads(scans("heads"), progress=False)) == 6


def test_a_scan_stored_from_left_to_right_or_right_to_left_is_taken(scans):
    """Radiological storage, as FSL has it, mirrors the voxels and has a negative determinant."""
    folder = scans("heads")
    for name in (HEAD, MASK):
        affine(name, np.diag([-4.0, 4, 4, 1]))(folder)
    assert len(data.heads(folder, progress=False)) == 6


def test_what_passed_for_one_purpose_is_read_again_for_another(scans):
    folder = scans("tumors")
    save(folder / "one.nii.gz", noise(seed=9))
    table = pd.DataFrame({"image": [str(folder / "one.nii.gz")], "label": [str(folder / LABEL)]})
    checks.check_volumes(table, labels=(0, 1, 2, 3), progress=False)
    with pytest.raises(DataError, match="not 0 to 1"):
        checks.check_volumes(table, labels=(0, 1), progress=False)
    with pytest.raises(DataError, match="a modality is missing"):
        checks.check_volumes(table, 4, (0, 1, 2, 3), progress=False)


def test_ids_keep_their_zeros_and_people_that_a_table_does_not_know_stay(scans):
    folder = scans("brain_age")
    column("subject_id", [f"00{k}" for k in range(6)])(folder)
    assert list(data.brain_age(folder, progress=False).subject_id) == [f"00{k}" for k in range(6)]
    folder = scans("heads")
    text("dataset.csv", b"subject_id,age_at_scan\nh0,44\nh2,45\n")(folder)
    table = data.heads(folder, progress=False).set_index("subject_id")
    assert list(table.index) == [f"h{k}" for k in range(6)]
    assert table.age.dropna().to_dict() == {"h0": 44, "h2": 45}


def excel(separator, decimal, encoding="utf-8-sig", end="\r\n"):
    """A table as a spreadsheet writes it: its separators, a mark at the start, blanks, lines of nothing at the end."""

    def write(folder):
        table = pd.read_csv(folder / "dataset.csv")
        table["age_at_scan"] = [f"{age + 0.5:.1f}".replace(".", decimal) for age in table.age_at_scan]
        table["note"] = "æøå"
        lines = [list(table.columns), *table.astype(str).values.tolist(), [""] * len(table.columns)]
        blank = " " if separator == "," else ""
        quoted = [[f'"{cell}"' if separator in cell else cell for cell in line] for line in lines]
        text = end.join(f"{separator}{blank}".join(line) for line in quoted) + end * 3
        (folder / "dataset.csv").write_bytes(text.encode(encoding))

    return write


@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", ","), (";", "."), ("\t", ","), (",", ",")])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_a_table_as_a_spreadsheet_writes_it_is_taken(scans, separator, decimal, encoding):
    folder = scans("brain_age")
    excel(separator, decimal, encoding)(folder)
    table = data.brain_age(folder, progress=False)
    assert list(table.age) == [20.5 + 10 * k for k in range(6)] and list(table.subject_id) == [
        f"s{k}" for k in range(6)
    ]
    assert set(table.note) == {"æøå"}


HEADER = "t1_path;subject_id;gender;age_at_scan;site"
ROWS = [f"t1/s{k}.nii.gz;s{k};{'MF'[k % 2]};{20 + 10 * k},5;north" for k in range(6)]


def table_of(header=HEADER, rows=ROWS, start="", end="", line="\r\n"):
    return start + line.join([header, *rows, ""]) + end


TAKEN = {
    "which separator": table_of(start="sep=;\r\n"),
    "which separator, quoted": table_of(start='"sep=;"\r\n'),
    "HEADERS": table_of(HEADER.upper()),
    "Headers": table_of("T1_Path;Subject_ID;Gender;Age_At_Scan;Site"),
    "quoted headers": table_of(";".join(f'"{name}"' for name in HEADER.split(";"))),
    "blanks": table_of(HEADER.replace(";", " ; "), [row.replace(";", " ;\u00a0") for row in ROWS]),
    "empty rows": table_of(start="\r\n;;;;\r\n", end=";;;;\r\n\r\n  \r\n"),
    "empty columns": table_of(HEADER + ";;", [row + ";;" for row in ROWS]),
    "empty cells at the end": table_of(rows=[row + ";;;" for row in ROWS]),
    "an empty column before": table_of(";" + HEADER, [";" + row for row in ROWS]),
    "the ends of lines of an old Macintosh": table_of(line="\r"),
    "commas and points": table_of(rows=[row.replace(",", ".") if k % 2 else row for k, row in enumerate(ROWS)]),
    "exponents": table_of(rows=[re.sub(r"(\d),?(\d),5", r"\1,\g<2>5E+01", row) for row in ROWS]),
    "all in quotes": table_of(rows=['"' + row.replace(";", '";"') + '"' for row in ROWS]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_spreadsheet_adds_changes_nothing(scans, name):
    folder = scans("brain_age")
    (folder / "dataset.csv").write_text(TAKEN[name], newline="", encoding="utf-8")
    table = data.brain_age(folder, progress=False)
    assert list(table.columns) == ["subject_id", "image", "age", "sex", "site", "split"]
    assert list(table.age) == [20.5 + 10 * k for k in range(6)] and list(table.sex) == ["M", "F"] * 3
    assert list(table.subject_id) == [f"s{k}" for k in range(6)] and set(table.site) == {"north"}


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan", "N/A", "NULL", "n/a", "NaN"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_a_word_for_nothing_is_a_name_among_names_and_missing_among_numbers(scans, word, separator):
    """A site, a person or a ward may be called so; a number and a sex may not."""
    folder = scans("brain_age")
    header = ["t1_path", "subject_id", "gender", "age_at_scan", "site", "ward", "score"]
    rows = [[f"t1/s{k}.nii.gz", f"s{k}", "MF"[k % 2], 20 + k, "north", "west", k] for k in range(6)]
    rows[0][1], rows[1][2], rows[2][3], rows[3][4], rows[4][5], rows[5][6] = [word] * 6
    rows[2][3] = 22
    table_text = "\n".join(separator.join(map(str, row)) for row in [header, *rows])
    (folder / "dataset.csv").write_text(table_text)
    table = data.brain_age(folder, progress=False).set_index("image").sort_index()
    assert list(table.subject_id) == [word, "s1", "s2", "s3", "s4", "s5"]
    assert list(table.site) == ["north"] * 3 + [word] + ["north"] * 2
    assert list(table.ward) == ["west"] * 4 + [word, "west"]
    assert table.score.isna().sum() == 1 and table.score.sum() == 10 and table.sex.isna().sum() == 1


def test_an_id_keeps_its_comma(scans):
    """1,5 and 1.5 are two people."""
    folder = scans("brain_age")
    rows = [row.replace("s0;M", "1,5;M").replace("s1;F", "1.5;F") for row in ROWS]
    (folder / "dataset.csv").write_text(table_of(HEADER, rows), newline="")
    table = data.brain_age(folder, progress=False)
    assert {"1,5", "1.5"} <= set(table.subject_id) and sorted(table.age)[0] == 20.5


def test_other_numbers_with_a_comma_are_numbers_and_notes_stay_notes(scans):
    folder = scans("brain_age")
    rows = [f'{row};{k},25;1.{k};"a; {k},5 cm\nb"' for k, row in enumerate(ROWS)]
    (folder / "dataset.csv").write_text(table_of(HEADER + ";dose;other;note", rows), newline="")
    table = data.brain_age(folder, progress=False)
    assert list(table.dose) == [k + 0.25 for k in range(6)] and list(table.other) == [1 + k / 10 for k in range(6)]
    assert list(table.note) == [f"a; {k},5 cm\nb" for k in range(6)]


EITHER = "dose '1.100' has thousands or three decimals"
# What separates, the cells of one more column beside whole ages, and what they are, or a part of the refusal.
THREE_DIGITS = {
    "after a decimal comma in the table": (";", ["1.100", "2", "3"], EITHER),
    "after a decimal comma in the column": (";", ["0,5", "1.100", "3"], EITHER),
    "between points and commas": (";", ["0,5", "0.5", "1.100"], EITHER),
    "a comma where points are decimals": (
        "\t",
        ["0.5", "1,100", "3"],
        "dose '1,100' has thousands or three decimals",
    ),
    "a sign": (";", ["0,5", "-12.250", "3"], "dose '-12.250' has thousands or three decimals"),
    "after a point in the column, whatever others have": (";", ["1.1", "1.100", "1.25"], [1.1, 1.1, 1.25]),
    "after a zero": ("\t", ["0.123", "1.100", "2.000"], [0.123, 1.1, 2.0]),
    "after four digits": ("\t", ["1234.567", "1.100", "2.000"], [1234.567, 1.1, 2.0]),
    "of a comma, as usual with semicolons": (";", ["1,100", "2,250", "3"], [1.1, 2.25, 3.0]),
    "of a point, unusual with semicolons": (";", ["1.100", "2.250", "3"], EITHER),
    "of a point, as usual with tabulators": ("\t", ["1.100", "2.250", "3"], [1.1, 2.25, 3.0]),
    "of a point, as usual with commas": (",", ["1.100", "2.250", "3"], [1.1, 2.25, 3.0]),
    "with an exponent": (";", ["1.100e3", "1,5", "3"], [1100.0, 1.5, 3.0]),
    "among words": (";", ["1.100", "1,5", "much"], ["1.100", "1,5", "much"]),
}


@pytest.mark.parametrize("name", THREE_DIGITS)
def test_a_mark_before_three_digits_separates_decimals_only_where_the_table_shows_it(scans, name):
    """1.100 is 1100 in a table with decimal commas, and 1.1 in another one."""
    separator, cells, expected = THREE_DIGITS[name]
    folder = scans("brain_age")
    age = "20,5" if "in the table" in name or "whatever" in name else "20"
    rows = [f"t1/s{k}.nii.gz;s{k};F;{age};north".replace(";", separator) for k in range(6)]
    rows = [f"{row}{separator}{cell}" for row, cell in zip(rows, cells * 2, strict=True)]
    (folder / "dataset.csv").write_text(table_of(f"{HEADER};dose".replace(";", separator), rows), newline="")
    if isinstance(expected, list):
        assert list(data.brain_age(folder, progress=False).dose) == expected * 2
        return
    with pytest.raises(DataError, match=f"dataset.csv: {re.escape(expected)}; write it without a mark"):
        data.brain_age(folder, progress=False)


def test_days_with_a_mark_of_thousands_are_no_years(scans):
    """20,075 days were read as 20.075 years."""
    folder = scans("brain_age")
    cell("age_at_scan", "20,075")(folder)
    with pytest.raises(DataError, match="age_at_scan '20,075' has thousands or three decimals; write"):
        data.brain_age(folder, progress=False)


SPELLINGS = [
    ("P01", "p01"),
    ("7", "007"),
    ("P 1", "P1"),
    ("P1", "P01"),
    ("7.0", "7"),
    ("7,0", "7"),
    ("\u00e5se", "a\u030ase"),
]


@pytest.mark.parametrize("pair", SPELLINGS)
def test_one_id_in_two_spellings_is_not_two_people(scans, pair):
    """The two would be drawn apart, and one person trained and tested on."""
    folder = scans("brain_age")
    column("subject_id", [*pair, "A", "B", "C", "D"])(folder)
    with pytest.raises(DataError, match="dataset.csv: .* are two spellings of one id, or two people; ") as refused:
        data.brain_age(folder, progress=False)
    assert all(repr(name) in str(refused.value) for name in pair)


@pytest.mark.parametrize(("name", "header", "ids"), [
    ("heads", "subject_id,age_at_scan", ["H0", "h1", "h2", "h3", "h4", "h5"]),
    ("heads", "subject_id,age_at_scan", ["h1", "h00"]),
    ("tumors", "subject_id,age", ["C0", "c1", "c2", "c3", "c4", "c5"]),
])  # fmt: skip
def test_a_table_that_spells_an_id_otherwise_than_the_files_is_refused(scans, name, header, ids):
    folder = scans(name)
    source = folder / {"heads": "dataset.csv", "tumors": "clinical.csv"}[name]
    source.write_text("\n".join([header, *(f"{subject},44" for subject in ids)]))
    with pytest.raises(DataError, match=f"{source.name}: .* are two spellings of one id, or two people; ") as refused:
        OPEN[name](folder, progress=False)
    odd = next(subject for subject in ids if subject not in {f"{name[0].replace('t', 'c')}{k}" for k in range(6)})
    assert repr(odd) in str(refused.value)


def test_a_table_that_knows_nobody_is_refused(scans):
    folder = scans("heads")
    (folder / "dataset.csv").write_text("subject_id,age_at_scan\nsub-0,44\nsub-1,45\n")
    with pytest.raises(
        DataError, match="dataset.csv: has no row for h0; name people as their files are named, or take the file away"
    ):
        data.heads(folder, progress=False)


def test_ids_that_differ_in_more_than_their_spelling_are_two_people(scans):
    folder = scans("brain_age")
    names = ["S1 11", "S11 1", "P1.05", "P1.5", "P1,5", "P-1"]
    column("subject_id", names)(folder)
    assert set(data.brain_age(folder, progress=False).subject_id) == set(names)


UNTAKEN = {
    "a cell too many": (
        table_of(rows=[*ROWS[:3], ROWS[3] + ";x", *ROWS[4:]]),
        "row 4 has more cells than .*';' in quotes",
    ),
    "commas twice": (table_of().replace(";", ","), "row 1 has more cells than there are names .*','"),
    "a column twice": (table_of(HEADER.replace("site", "Gender")), "has the column gender twice; rename"),
    "a title": (table_of(start="Brain ages;;;;\r\n"), "has no column t1_path; it needs"),
    "a sum": (table_of(end="Sum;;;243,5;\r\n"), "row 7 has no subject_id"),
    "thousands": (
        table_of(rows=[row.replace("20,5", "1.020,5") for row in ROWS]),
        "age 1.020,5 of s0 is not in 0 to 120",
    ),
    "a date": (table_of(rows=[row.replace("20,5", "12.05.1980") for row in ROWS]), "age 12.05.1980 of s0 is not"),
    "an error": (table_of(rows=[row.replace("20,5", "#REF!") for row in ROWS]), "age #REF! of s0 is not in"),
    "one person as two sexes, with a blank": (
        table_of(rows=[row.replace(";s1;", ";s0 ;") for row in ROWS]),
        "s0 is both M",
    ),
    "no end of a quote": (table_of().replace("s2;", '"s2;'), "is not a table in csv format; export it again"),
    "zeros": (table_of(end="\0\0"), "is not text encoded as UTF-8; export it again as UTF-8 with commas"),
    "blanks only": (" \r\n\r\n", "is not a table in csv format"),
    "a workbook": ("PK\3\4" + "\0" * 99, "is the workbook of a spreadsheet and no text; export it again as UTF-8"),
    "a page": ("<html><table><tr><td>t1_path</td>", "has no column t1_path"),
}


@pytest.mark.parametrize("name", UNTAKEN)
def test_what_a_spreadsheet_spoils_is_said_for_its_true_cause(scans, name):
    folder = scans("brain_age")
    content, words = UNTAKEN[name]
    (folder / "dataset.csv").write_text(content, newline="")
    with pytest.raises(DataError, match=words) as refused:
        data.brain_age(folder, progress=False)
    assert str(refused.value).endswith(".") and "; " in str(refused.value) and "\n" not in str(refused.value)


TROMSO = [row.replace("north", "Tromsø") for row in ROWS]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_with_the_mark_of_its_encoding_is_taken(scans, encoding, separator):
    """As Excel writes "Unicode text"."""
    folder = scans("brain_age")
    text = table_of(rows=TROMSO, start="\ufeff").replace(";", separator)
    (folder / "dataset.csv").write_bytes(text.encode(encoding))
    table = data.brain_age(folder, progress=False)
    assert set(table.site) == {"Tromsø"} and list(table.age) == [20.5 + 10 * k for k in range(6)]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "cp865", "mac-roman"])
def test_a_table_in_another_encoding_is_refused_for_it(scans, encoding):
    """Which one it is cannot be told: ø of one is another letter of the next, and two people may become one."""
    folder = scans("brain_age")
    (folder / "dataset.csv").write_bytes(table_of(rows=TROMSO).encode(encoding))
    with pytest.raises(DataError, match=r"dataset.csv: is not text encoded as UTF-8; export it again as UTF-8"):
        data.brain_age(folder, progress=False)


def test_a_workbook_is_told_from_a_table(scans):
    folder = scans("heads")
    (folder / "dataset.csv").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99))
    with pytest.raises(DataError, match="is the workbook of a spreadsheet and no text; export it again"):
        data.heads(folder, progress=False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
@pytest.mark.parametrize(
    "put_there", [os.mkdir, getattr(os, "mkfifo", None), lambda file: os.symlink("/dev/zero", file)]
)
@pytest.mark.parametrize(("name", "file"), [("brain_age", "dataset.csv"), ("tumors", "dataset.json")])
def test_a_folder_a_pipe_or_a_device_for_a_table_is_said_to_be_none(scans, name, file, put_there):
    folder = scans(name)
    (folder / file).unlink()
    put_there(folder / file)
    with pytest.raises(DataError, match=f"{file}: is a folder, a device or a pipe and no file; put the file itself"):
        OPEN[name](folder, progress=False)


@pytest.mark.parametrize("content", [b"[" * 10**5, b"5", b"null", b'{"training": 5}'])
def test_a_list_of_cases_of_any_content_is_one_sentence(scans, content):
    folder = scans("tumors")
    (folder / "dataset.json").write_bytes(content)
    with pytest.raises(DataError, match="does not list modality, labels and training cases; write it as that of"):
        data.tumors(folder, progress=False)


def test_a_mark_at_the_start_of_the_list_of_cases_is_no_fault(scans):
    folder = scans("tumors")
    (folder / "dataset.json").write_bytes(b"\xef\xbb\xbf" + (folder / "dataset.json").read_bytes())
    assert len(data.tumors(folder, progress=False)) == 6


@pytest.mark.parametrize(("name", "file"), [("brain_age", "dataset.csv"), ("tumors", "dataset.json")])
def test_a_table_that_may_not_be_read_is_said_so(scans, monkeypatch, name, file):
    folder, read = scans(name), pathlib.Path.read_bytes

    def forbidden(path, *options, **more):
        if path.name == file:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *options, **more)

    monkeypatch.setattr(pathlib.Path, "read_bytes", forbidden)
    with pytest.raises(DataError, match=rf"{file}: cannot be read \(Permission denied\); check its permissions"):
        OPEN[name](folder, progress=False)


@pytest.mark.parametrize("scale", [1 / 255, 1 - 6e-8, 1 + 9e-4])
def test_labels_that_a_scale_has_rounded_are_taken(scans, scale):
    """Masks of 0 and 255 with a slope, or stored as floats by a program that resamples."""
    folder = scans("heads")
    mask = np.asarray(nib.load(folder / MASK).dataobj)
    save(folder / MASK, (mask * (255 if scale < 0.5 else 1) * np.float32(scale)).astype(np.float32)[..., None])
    table = data.heads(folder, progress=False)
    assert set(data.load(table, "label", progress=False).unique().tolist()) == {0, 1}
    save(folder / MASK, mask * np.float32(1.002))
    with pytest.raises(DataError, match="has a label 1.002"):
        data.heads(folder, progress=False)


def test_both_names_of_a_column_are_not_guessed_between(scans):
    folder = scans("brain_age")
    column("age", [1] * 6)(folder)
    with pytest.raises(DataError, match="dataset.csv: has age_at_scan and its other name as columns; keep one"):
        data.brain_age(folder, progress=False)
