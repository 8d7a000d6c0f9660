"""Downloads: asked for, resumed, checked, complete or absent. A server on this machine plays the internet."""

import errno
import gzip
import hashlib
import io
import json
import re
import shutil
import sys
import tarfile
import threading
import types
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import nibabel as nib
import numpy as np
import pytest

from presimal import data
from presimal.cli import main
from presimal.data import downloads, fetching, real_scans
from presimal.data.real_scans import SCANS, Scan
from synthcohort.storage import DataError

PEOPLE = {1: "Guys", 2: "HH", 3: "IOP", 5: "Guys", 7: "HH"}
XLS = 'IXI_ID,"SEX_ID (1=m, 2=f)",AGE\n' + "".join(f"{k},{1 + k % 2},{20 + k}.123\n" for k in PEOPLE)


@pytest.fixture
def server(monkeypatch):
    """Serves `files` (name -> bytes), breaks off after `breaks` bytes if that is set, and notes `ranges`."""

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = server.files.get(self.path.strip("/"))
            if content is None:
                self.send_error(503)
                return
            asked = self.headers.get("Range")
            server.asked.append((self.path.strip("/"), asked))
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", '"one"')
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            end, server.breaks = server.breaks, None
            self.wfile.write(content[start:end])

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.breaks, server.asked = {}, None, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty data folder on a disk with room for every set, however full the disk of the tests is."""
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=100 * 10**9))
    monkeypatch.setenv("PRESIMAL_DATA", str(tmp_path / "images" / "data"))  # a path that says "image" itself
    return tmp_path / "images" / "data"


@pytest.fixture
def internet(server, monkeypatch):
    """The three sets in miniature, at the addresses that the libraries know."""
    import pandas as pd
    from fastMONAI.external_data import MURLs
    from monai.apps import DecathlonDataset
    from torchio.datasets.ixi import IXI, IXITiny

    task = "Task01_BrainTumour"
    server.files = {"IXI-T1.tar": ixi(), "IXI.xls": XLS.encode()}
    server.files |= {"ixi_tiny.zip": ixi_tiny(), f"{task}.tar": msd(task)}
    digest = {name: hashlib.md5(content).hexdigest() for name, content in server.files.items()}
    monkeypatch.setattr(pd, "read_excel", pd.read_csv)  # nothing here writes the old format of Excel
    monkeypatch.setattr(MURLs, "IXI_DEMOGRAPHIC_INFORMATION", f"{server.url}/IXI.xls")
    monkeypatch.setattr(IXI, "base_url", server.url + "/IXI-{modality}.tar")
    monkeypatch.setitem(IXI.md5_dict, "T1", digest["IXI-T1.tar"])
    monkeypatch.setattr(IXITiny, "url", f"{server.url}/ixi_tiny.zip")
    monkeypatch.setattr(IXITiny, "md5", digest["ixi_tiny.zip"])
    monkeypatch.setitem(DecathlonDataset.resource, task, f"{server.url}/{task}.tar")
    monkeypatch.setitem(DecathlonDataset.md5, task, digest[f"{task}.tar"])
    return server


def volume(seed, *more, label=False):
    values = np.random.default_rng(seed).normal(size=(9, 10, 8, *more)) * 100
    image = nib.Nifti1Image((values > 0).astype(np.uint8) if label else values.astype(np.int16), np.eye(4))
    return gzip.compress(image.to_bytes())


def tar(contents):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def ixi():
    """Five images and as many other files as make 581, by which the library knows that all is unpacked."""
    images = {f"IXI00{k}-{site}-0828-T1.nii.gz": volume(k) for k, site in PEOPLE.items()}
    return tar(images | {f"{k}.txt": b"" for k in range(576)})


def ixi_tiny():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for k, site in PEOPLE.items():
            for kind in ("image", "label"):
                name = f"ixi_tiny/{kind}/IXI00{k}-{site}-0828_{kind}.nii.gz"
                archive.writestr(name, volume(k, label=kind == "label"))
    return buffer.getvalue()


def msd(task):
    cases = [{"image": f"./imagesTr/BRATS_00{k}.nii.gz", "label": f"./labelsTr/BRATS_00{k}.nii.gz"} for k in PEOPLE]
    listed = {
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        "training": cases,
        **{key: "" for key in ("name", "description", "reference", "licence", "tensorImageSize")},
        **{"numTraining": 5, "numTest": 0},
    }
    contents = {f"{task}/dataset.json": json.dumps(listed).encode(), f"{task}/._dataset.json": b"of a Macintosh"}
    # Random, and larger than what is written in one piece, so that something is there to go on from.
    contents[f"{task}/imagesTs/BRATS_004.nii.gz"] = np.random.default_rng(0).bytes(2_000_000)
    for k in PEOPLE:
        contents[f"{task}/imagesTr/BRATS_00{k}.nii.gz"] = volume(k, 4)
        contents[f"{task}/labelsTr/BRATS_00{k}.nii.gz"] = volume(k, label=True)
    return tar(contents)


@pytest.mark.parametrize(
    ("opened", "source", "columns"),
    [
        (data.brain_age, "ixi", ["subject_id", "image", "age", "sex", "site", "split"]),
        (data.brain_age, "ixi-tiny", ["subject_id", "image", "age", "sex", "site", "split"]),
        (data.heads, "ixi-tiny", ["subject_id", "image", "label", "age", "sex", "site", "split"]),
        (data.tumors, "msd", ["subject_id", "image", "label", "split"]),
    ],
)
def test_a_set_comes_through_the_door(internet, home, capsys, opened, source, columns):
    table = opened(source, yes=True)
    assert list(table) == columns and len(table) == 5
    assert data.load(table).shape[0] == 5
    if "label" in columns:
        assert data.load(table, "label").max() == 1
    if "age" in columns:
        assert dict(zip(table.subject_id, table.age, strict=True)) == {f"IXI00{k}": 20.12 + k for k in PEOPLE}
    if "site" in columns:
        assert dict(zip(table.subject_id, table.site, strict=True)) == {f"IXI00{k}": site for k, site in PEOPLE.items()}
    said, wanted = capsys.readouterr().out, downloads.DOWNLOADS[source]
    for shown in (wanted.license, f"{wanted.download_gb:g} GB", "GB free", str(home / source)):
        assert shown in said
    assert sorted(entry.name for entry in home.iterdir() if not entry.name.startswith(".")) == [source]
    assert not list(home.rglob("*.tar")) and not list(home.rglob("*.zip"))
    count = len(internet.asked)
    assert opened(source).equals(table)  # a second time nothing is asked and nothing fetched
    assert len(internet.asked) == count
    shutil.move(home / source, home.parent / "mine")  # paths inside are relative
    assert len(opened(home.parent / "mine", progress=False)) == 5


def test_monai_finds_the_decathlon_where_it_looks(internet, home):
    from monai.apps import DecathlonDataset

    downloads.get("msd", yes=True)
    cases = DecathlonDataset(home / "msd", "Task01_BrainTumour", "training", cache_rate=0)
    assert len(cases) == 4 and cases[0]["image"].shape == (9, 10, 8, 4)


def test_without_a_terminal_and_without_yes_it_refuses(home, monkeypatch, capsys):
    monkeypatch.setattr(downloads, "fetch", lambda *arguments: 1 / 0)
    with pytest.raises(DataError, match="Nothing is downloaded without your word: say yes=True"):
        data.tumors("msd")
    assert "CC BY-SA 4.0" in capsys.readouterr().out
    assert not list(home.rglob("*"))


@pytest.mark.parametrize(("answer", "goes"), [("y", True), ("YES ", True), ("", False), ("n", False), ("what?", False)])
def test_at_a_terminal_it_asks(home, monkeypatch, answer, goes):
    made = []
    wanted = types.SimpleNamespace(
        what="A set", license="CC", source="here", download_gb=1, disk_gb=1,
        prepare=lambda folder: made.append(1) or made_in(folder),
    )  # fmt: skip

    def made_in(folder):
        (folder / "set").mkdir()
        return folder / "set"

    monkeypatch.setitem(downloads.DOWNLOADS, "msd", wanted)
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    if goes:
        assert downloads.get("msd") == home / "msd"
    else:
        with pytest.raises(DataError, match="was not downloaded, as you wished"):
            downloads.get("msd")
    assert bool(made) == goes


def test_too_small_a_disk_is_said_before_anything_is_asked(home, monkeypatch):
    usage = types.SimpleNamespace(free=10e9)  # enough for the archive alone
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(DataError, match=r"10.0 GB free, and 14.3 GB are needed: free some space"):
        downloads.get("msd")  # asked first, it would refuse for want of an answer


def test_a_download_that_broke_off_goes_on(internet, home):
    archive = internet.files["Task01_BrainTumour.tar"]
    internet.breaks = len(archive) * 2 // 3
    with pytest.raises(DataError, match=r"cannot be reached or broke off: .*what has arrived is kept"):
        data.tumors("msd", yes=True)
    assert not (home / "msd").exists()
    kept = sum(file.stat().st_size for file in (home / "msd.unfinished").iterdir())
    assert 0 < kept <= len(archive) * 2 // 3
    assert len(data.tumors("msd", yes=True)) == 5
    assert internet.asked[-1] == ("Task01_BrainTumour.tar", f"bytes={kept}-")
    assert not (home / "msd.unfinished").exists()


def test_a_wrong_checksum_is_thrown_away(internet, home):
    good = internet.files["ixi_tiny.zip"]
    internet.files["ixi_tiny.zip"] = good[:-9] + b"\0" + good[-8:]
    with pytest.raises(DataError, match="does not have its published checksum: start again"):
        data.heads("ixi-tiny", yes=True)
    assert not list(home.glob("ixi*"))
    internet.files["ixi_tiny.zip"] = good
    assert len(data.heads("ixi-tiny", yes=True)) == 5


@pytest.mark.parametrize("sent", [b"IXI", b"a,b\n1,2\n", b"\xd0\xcf\x11\xe0" * 99])
def test_a_table_that_is_none_is_thrown_away(internet, home, sent):
    good = internet.files["IXI.xls"]
    internet.files["IXI.xls"] = sent
    with pytest.raises(DataError, match=r"What http.*IXI.xls sent is not the table of IXI's people: start again"):
        data.brain_age("ixi-tiny", yes=True)
    assert not (home / "ixi-tiny").exists() and not list(home.rglob("*.xls"))
    internet.files["IXI.xls"] = good
    assert len(data.brain_age("ixi-tiny", yes=True)) == 5


def test_a_server_that_answers_with_an_error(internet, home):
    del internet.files["IXI-T1.tar"]
    with pytest.raises(DataError, match=r"IXI-T1.tar answered 503: start again later"):
        data.brain_age("ixi", yes=True)
    assert not list(home.glob("ixi*"))


@pytest.mark.parametrize(
    ("opened", "source"), [(data.brain_age, "ixi"), (data.heads, "ixi-tiny"), (data.tumors, "msd")]
)
def test_without_a_network_one_sentence_and_nothing_left(internet, home, opened, source):
    internet.shutdown()
    internet.server_close()
    with pytest.raises(DataError, match="cannot be reached or broke off: check the network") as refused:
        opened(source, yes=True)
    assert "\n" not in str(refused.value)
    assert not [entry for entry in home.iterdir() if not entry.name.startswith(".")]


def test_unpacking_that_was_interrupted_is_done_again(internet, home, monkeypatch):
    import fastMONAI.external_data as external

    def interrupted(**arguments):
        raise KeyboardInterrupt

    process = external._process_ixi_xls
    monkeypatch.setattr(external, "_process_ixi_xls", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.brain_age("ixi", yes=True)
    monkeypatch.setattr(external, "_process_ixi_xls", process)
    asked = len(internet.asked)
    half = home / "ixi.unfinished" / "IXI" / "T1_images"
    assert not (home / "ixi").exists()
    next(half.glob("*.nii.gz")).write_bytes(b"half")  # as if killed while unpacking
    table = data.brain_age("ixi", yes=True)
    assert data.load(table).shape[0] == 5
    assert len(internet.asked) == asked + 1  # the table; the archive was there


def hostile(name, kind=None, link=""):
    """A tar of a member that is good and one that is not."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in ("Task01_BrainTumour/good.txt", name):
            entry = tarfile.TarInfo(path)
            if path == name and kind:
                entry.type, entry.linkname = kind, link
            else:
                entry.size = 3
            archive.addfile(entry, io.BytesIO(b"abc"[: entry.size]))
    return buffer.getvalue()


ZIPPED = ixi_tiny()
CUT = ZIPPED[: len(ZIPPED) // 2]
UNUSABLE = {
    "a path that leads out": ("msd", hostile("../../../escaped.txt")),
    "a path from the root": ("msd", hostile("/tmp/escaped-from-an-archive.txt")),
    "a link that leads out": ("msd", hostile("Task01_BrainTumour/link", tarfile.SYMTYPE, "/etc/passwd")),
    "no tar": ("msd", b"no archive at all" * 99),
    "a tar that is cut short": ("msd", msd("Task01_BrainTumour")[:700_000]),
    "nothing": ("msd", b""),
    "no zip": ("ixi-tiny", b"no archive at all" * 99),
    "a zip that is cut short": ("ixi-tiny", CUT),
    "a zip with a damaged file": ("ixi-tiny", ZIPPED[:100] + bytes(40) + ZIPPED[140:]),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_archive_that_cannot_be_unpacked_is_one_sentence_and_no_set(internet, home, monkeypatch, name):
    """As published, by its checksum, and yet."""
    from monai.apps import DecathlonDataset
    from torchio.datasets.ixi import IXITiny

    source, content = UNUSABLE[name]
    whole = dict(internet.files)
    file = {"msd": "Task01_BrainTumour.tar", "ixi-tiny": "ixi_tiny.zip"}[source]

    def publish(content):
        internet.files[file] = content
        digest = hashlib.md5(content).hexdigest()
        monkeypatch.setattr(IXITiny, "md5", digest)
        monkeypatch.setitem(DecathlonDataset.md5, "Task01_BrainTumour", digest)

    publish(content)
    opened = data.tumors if source == "msd" else data.heads
    with pytest.raises(DataError, match="cannot be unpacked|broke off") as refused:
        opened(source, yes=True)
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")
    left = [entry for entry in home.parent.parent.rglob("*") if entry.is_file() and entry.suffix != ".lock"]
    assert left == [] and not (home / source).exists()
    publish(whole[file])
    assert len(opened(source, yes=True)) == 5


def test_an_archive_that_changed_on_the_disk_is_fetched_again(internet, home):
    archive = home / "msd.unfinished" / "Task01_BrainTumour.tar"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(internet.files["Task01_BrainTumour.tar"][:1_000_000])
    assert len(data.tumors("msd", yes=True)) == 5 and len(internet.asked) == 1


def test_a_public_scan_that_changed_on_the_disk_is_fetched_again(scans, home):
    downloads.get("real-scans", yes=True)
    (home / "real-scans" / "a" / "one.nii.gz").write_bytes(b"of yesterday")
    file = downloads.real_scan("a/one.nii.gz", yes=True)
    assert file.read_bytes() == scans.content["a/one.nii.gz"] and len(scans.server.asked) == 4


def test_a_full_disk_is_said_so(internet, home, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching, "_receive", full)
    with pytest.raises(DataError, match=r"disk of .* is full: free some space"):
        data.tumors("msd", yes=True)
    assert not list(home.glob("msd*"))


def test_files_without_content_are_nothing_to_go_on_from(home, monkeypatch):
    def prepare(folder):
        (folder / "archive.tar.part").touch()
        raise DataError("Nothing came.")

    monkeypatch.setitem(downloads.DOWNLOADS, "msd", downloads.Download("A set", "CC BY", "here", 0.1, 0.1, prepare))
    with pytest.raises(DataError, match="Nothing came"):
        downloads.get("msd", yes=True)
    assert not list(home.glob("msd*"))


def test_every_set_shows_what_a_student_must_know():
    assert set(downloads.DOWNLOADS) == set().union(*data.REAL.values()) | {"real-scans"}
    for name, wanted in downloads.DOWNLOADS.items():
        assert wanted.disk_gb > wanted.download_gb > 0
        assert ("no training set" in wanted.what) == (name == "real-scans")
        if name != "real-scans":
            assert wanted.license.startswith("CC BY")


@pytest.fixture
def scans(server, home, monkeypatch):
    """Three public files in miniature at the addresses of a list; scans.files is what the server sends."""
    content = {f"{name}.nii.gz": volume(k) for k, name in enumerate(("a/one", "a/two", "b c/three"))}
    listed = {
        file: Scan(file, f"me/it/{'0' * 40}/{file}", hashlib.sha256(sent).hexdigest(), len(sent), f"CC {file[0]}", "us")
        for file, sent in content.items()
    }
    monkeypatch.setattr(real_scans, "HOST", server.url)
    monkeypatch.setattr(downloads, "SCANS", listed)
    server.files = {f"me/it/{'0' * 40}/{file.replace(' ', '%20')}": sent for file, sent in content.items()}
    return types.SimpleNamespace(server=server, content=content, listed=listed)


def kept(home):
    """What there is of the public scans, by name; locks of folders aside."""
    files = [file for file in home.rglob("*") if file.is_file() and file.suffix != ".lock"]
    return {file.relative_to(home / file.relative_to(home).parts[0]).as_posix(): file.read_bytes() for file in files}


def test_public_scans_come_whole_and_once(scans, home, capsys):
    folder = downloads.get("real-scans", yes=True)
    assert folder == home / "real-scans" and kept(home) == scans.content
    assert len(scans.server.asked) == 3 and not (home / "real-scans.unfinished").exists()
    assert downloads.get("real-scans") == folder and len(scans.server.asked) == 3


def test_licenses_are_shown_before_anything_is_fetched(scans, home, capsys, monkeypatch):
    shown = [f"{scan.license} (" in downloads.DOWNLOADS["real-scans"].license for scan in real_scans.SCANS.values()]
    assert all(shown) and all(scan.cite in downloads.DOWNLOADS["real-scans"].license for scan in SCANS.values())
    with pytest.raises(DataError, match="Nothing is downloaded without your word"):
        downloads.get("real-scans")
    assert downloads.DOWNLOADS["real-scans"].license in capsys.readouterr().out
    assert not scans.server.asked and not kept(home)

    def looked(*arguments):
        assert downloads.DOWNLOADS["real-scans"].license in capsys.readouterr().out
        raise DataError("Seen.")

    monkeypatch.setattr(downloads, "_fetch_scan", looked)
    with pytest.raises(DataError, match="Seen"):
        downloads.get("real-scans", yes=True)


def test_a_public_scan_with_another_checksum_is_thrown_away(scans, home):
    second = next(url for url in scans.server.files if "two" in url)
    good, scans.server.files[second] = scans.server.files[second], volume(9)
    with pytest.raises(DataError, match=r"two.nii.gz sent does not have its published checksum"):
        downloads.get("real-scans", yes=True)
    assert list(kept(home)) == ["real-scans/a/one.nii.gz"]
    scans.server.files[second] = good
    downloads.get("real-scans", yes=True)
    assert kept(home) == scans.content and len(scans.server.asked) == 4  # the first one only once


def test_public_scans_that_broke_off_go_on_and_nothing_is_half_written(scans, home):
    scans.server.files = dict(reversed(scans.server.files.items()))
    scans.server.breaks = 100
    with pytest.raises(
        DataError, match=r"a/one.nii.gz \(.* MB from github.com/me/it, CC a\) cannot be reached or broke"
    ):
        downloads.get("real-scans", yes=True)
    assert not kept(home) and not (home / "real-scans.unfinished").exists()
    downloads.real_scan("a/one.nii.gz", yes=True)
    scans.server.breaks = 100
    with pytest.raises(DataError, match=r"a/two.nii.gz .* broke off"):
        downloads.get("real-scans", yes=True)
    assert list(kept(home)) == ["real-scans/a/one.nii.gz"]
    part = home / "real-scans.unfinished" / "real-scans" / "a" / "two.nii.gz.part"
    part.write_bytes(scans.content["a/two.nii.gz"][:70])  # as if killed
    downloads.get("real-scans", yes=True)
    assert kept(home) == scans.content and scans.server.asked[-2][1] == "bytes=70-"


def test_one_word_fetches_one_public_scan(scans, home, capsys):
    file = downloads.real_scan("b c/three.nii.gz", yes=True)
    assert file.read_bytes() == scans.content["b c/three.nii.gz"] and len(scans.server.asked) == 1
    assert "license      CC b (1 file, 0.0 MB): cite us" in capsys.readouterr().out
    assert downloads.real_scan("b c/three.nii.gz") == file and len(scans.server.asked) == 1
    downloads.get("real-scans", yes=True)  # goes on from it
    assert len(scans.server.asked) == 3 and kept(home) == scans.content
    assert downloads.real_scan("b c/three.nii.gz").is_relative_to(home / "real-scans")


def test_one_public_scan_without_a_word_says_what_it_would_do(scans, home, capsys):
    with pytest.raises(DataError) as refused:
        downloads.real_scan("a/one.nii.gz")
    would = "download 0.0 MB from github.com/me/it (CC a), no training data"
    assert str(refused.value) == f"a/one.nii.gz is not here: real_scan('a/one.nii.gz', yes=True) would {would}."
    assert not scans.server.asked and not home.exists() and capsys.readouterr().out == ""
    with pytest.raises(DataError, match="is none of the public scans, which real_scans.csv lists; one is 'ixi/"):
        downloads.real_scan("a/four.nii.gz", yes=True)


@pytest.mark.parametrize(
    "asked", [lambda: downloads.real_scan("a/one.nii.gz", yes=True), lambda: downloads.get("real-scans", True)]
)
def test_public_scans_without_a_network_are_one_sentence_and_nothing_left(scans, home, asked):
    scans.server.shutdown()
    scans.server.server_close()
    with pytest.raises(
        DataError, match=r"one.nii.gz \(0.0 MB from github.com/me/it, CC a\) cannot be reached"
    ) as refused:
        asked()
    assert "\n" not in str(refused.value) and not kept(home) and not (home / "real-scans.unfinished").exists()


def test_at_a_terminal_one_public_scan_is_asked_for(scans, home, monkeypatch):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda prompt: "n")
    with pytest.raises(DataError, match="was not downloaded, as you wished"):
        downloads.real_scan("a/one.nii.gz")
    monkeypatch.setattr("builtins.input", lambda prompt: "y")
    assert downloads.real_scan("a/one.nii.gz").is_file()


def test_public_scans_are_no_training_set(scans, home, capsys):
    for opened in (data.brain_age, data.tumors, data.heads):
        with pytest.raises(DataError, match="has no source 'real-scans'"):
            opened("real-scans", yes=True)
    assert main(["data", "real-scans", "--yes", "--set", "heads"]) == 2
    assert "is no training set and has no --set" in capsys.readouterr().err and not scans.server.asked
    assert main(["data", "real-scans", "--yes"]) == 0
    assert "never to train" in capsys.readouterr().out and kept(home) == scans.content
    main(["data"])
    said = capsys.readouterr().out
    assert "no training set" in said and "real-scans" in said.split("To make")[0]


def test_the_list_of_public_scans_is_whole():
    wanted = downloads.DOWNLOADS["real-scans"]
    assert wanted.download_gb == pytest.approx(sum(scan.bytes for scan in SCANS.values()) / 1e9, abs=1e-3)
    for file, scan in SCANS.items():
        assert re.fullmatch(r"[\w-]+/[\w.-]+\.nii\.gz", file) and re.fullmatch(r"[0-9a-f]{64}", scan.sha256)
        assert re.fullmatch(r"[\w-]+/[\w.-]+/[0-9a-f]{40}/.+\.nii\.gz", scan.address)
        assert " " not in scan.url and scan.bytes > 1000 and scan.license and scan.cite
