"""What the README promises is there."""

import json
import re
import tomllib
from pathlib import Path

import nibabel as nib

from presimal.cli import main
from presimal.cli.scans import AGE_FIELDS
from synthcohort import MSD_CONTRASTS, Cohort

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
OWNER_AND_NAME = REPOSITORY.removeprefix("https://github.com/")


def test_the_first_screen_starts_and_tests_the_workshop_with_two_commands():
    first_screen = "\n".join(README.splitlines()[:25])
    assert 'python3 -m venv .venv && .venv/bin/pip install -e ".[all]" && .venv/bin/presimal lab\n' in first_screen
    assert "\n.venv/bin/pytest -n auto --dist loadfile\n" in first_screen


def test_ci_does_what_the_readme_says():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    for step in ("python3 -m venv", ".venv/bin/pip install", '-e ".[all]"', ".venv/bin/pytest -n auto --dist loadfile"):
        assert step in script
    assert script.count(".venv/bin/pytest") == 2  # with the network cut, and where it cannot be cut


def test_every_notebook_has_its_row_with_links_that_fit():
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        (row,) = [line for line in README.splitlines() if line.startswith(f"| [{file.stem[:2]} ")]
        path = f"notebooks/{file.name}"
        assert f"]({path})" in row
        assert f"(https://colab.research.google.com/github/{OWNER_AND_NAME}/blob/main/{path})" in row
        assert f"(https://mybinder.org/v2/gh/{OWNER_AND_NAME}/main?urlpath=lab/tree/{path})" in row  # all fit its 2 GB


def test_the_question_of_a_notebook_is_the_one_in_its_title():
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        (row,) = [line for line in README.splitlines() if line.startswith(f"| [{file.stem[:2]} ")]
        assert row.split("|")[2].strip() in file.read_text(encoding="utf-8")


def test_every_link_into_the_repository_leads_somewhere():
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), (page, target)


def test_the_list_of_modules_is_that_of_the_packages():
    listed = README.split("## For contributors")[1].split("```")[1]
    for package in (folder for folder in (ROOT / "src").iterdir() if (folder / "__init__.py").is_file()):
        block = re.search(rf"^src/{package.name}/.*\n((?:  .*\n)+)", listed, flags=re.MULTILINE)[1]
        named = {name.rstrip("/") for name in re.findall(r"\b[a-z_]+(?:\.py\b|/)", block)}
        there = {
            entry.name for entry in package.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").is_file()
        }
        assert named == there - {"__init__.py", "__main__.py"}, package.name


def test_every_environment_variable_is_named():
    code = "\n".join(
        file.read_text(encoding="utf-8") for folder in ("src", "tests") for file in (ROOT / folder).rglob("*.py")
    )
    assert {name for name in re.findall(r"\bPRESIMAL_[A-Z]+\b", code)} <= set(
        re.findall(r"`(PRESIMAL_[A-Z]+)`", README)
    )


def test_every_picture_has_alternative_text():
    assert all(len(alt.split()) >= 3 for alt in re.findall(r"!\[([^\]]*)\]", README))


def test_the_instructors_page_has_all_it_needs_for_every_notebook():
    page = (ROOT / "notebooks" / "INSTRUCTOR.md").read_text(encoding="utf-8")
    sections = re.split(r"^## ", page, flags=re.MULTILINE)
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        (section,) = [text for text in sections if text.startswith(file.stem[:2])]
        for point in ("Timing", "Say", "Ask", "Skip", "Expect", "Stumble", "If it fails"):
            assert f"- **{point}** " in section, (file.stem, point)


def test_the_fields_of_json_are_those_of_the_commands(tmp_path, capsys):
    """Each command prints exactly the fields that README names, for a scan that is taken and for one that is not."""
    rows = {name: re.findall(r"`(\w+)`", cells) for name, cells in re.findall(r"^\| `(\w+)` \| (.+) \|$", README, re.M)}
    batch = Cohort(5).render([1], "head", 4.0)
    nib.save(nib.Nifti1Image(batch.images[0, 0].numpy(), batch.affine.numpy()), tmp_path / "head.nii.gz")
    (tmp_path / "bad.nii.gz").write_bytes(b"nothing")
    assert main(["strip", str(tmp_path), "--json"]) == 1
    bad, good = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(good) | set(bad) == set(rows["strip"]) and set(bad) == {"file", "error"}
    tumor = Cohort(5).render([1], "tumor", 4.0, MSD_CONTRASTS)
    for name, image in zip(MSD_CONTRASTS, (tumor.images[0] * tumor.mask[0]).numpy(), strict=True):
        nib.save(nib.Nifti1Image(image, tumor.affine.numpy()), tmp_path / f"{name}.nii.gz")
    named = [word for name in MSD_CONTRASTS[:3] for word in (f"--{name}", str(tmp_path / f"{name}.nii.gz"))]
    assert main(["segment", *named, "-o", str(tmp_path / "labels.nii.gz"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    inside = {key for volume in found["volumes_ml"].values() for key in volume}
    assert main(["segment", *named, "-o", str(tmp_path / "labels.nii.gz"), "--json"]) == 2  # it is there already
    bad = json.loads(capsys.readouterr().out)
    assert set(found) | inside | set(bad) == set(rows["segment"]) and found["left_out"] == ["T2"]
    assert set(bad) == {"labels", "error"}
    (told,) = re.findall(r"^- `--json` prints one object a scan, each on a line: (.+?)^- ", README, re.M | re.S)
    assert set(re.findall(r"`(\w+)`", told)) == set(AGE_FIELDS)
