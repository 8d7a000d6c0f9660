"""One file from the network: all of it or nothing that has its name, in time, and gone on with where it broke off."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TypeVar

import requests
from tqdm import tqdm

from synthcohort.storage import DataError

SILENCE = 60.0  # seconds in which a server answers, and sends each
BLOCK = 2**18  # bytes
T = TypeVar("T")


def fetch(url: str, file: Path, digest: str = "", what: str = "") -> Path:
    """A file that is there with its `digest`, as "md5:...", or is downloaded, or the rest of it; DataError, beginning
    with `what`, of the network, a page instead of data or another checksum, OSError of the disk."""
    unfinished = file.with_name(f"{file.name}.part")
    if is_whole(file, digest):
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    if not digest:  # by which to tell that the rest belongs to what is there
        unfinished.unlink(missing_ok=True)
    try:
        _receive(url, unfinished)
    except Exception as problem:  # of requests and what it stands on: OSErrors, and ValueErrors of odd answers
        raise _of_the_network(what or url, problem, bool(digest) and unfinished.exists()) from None
    if not is_whole(unfinished, digest):
        unfinished.unlink()
        raise DataError(f"What {url} sent does not have its published checksum: start again later.")
    return unfinished.replace(file)


def is_whole(file: Path, digest: str = "") -> bool:
    """Is a file there, and with this digest, if one is known? For what had it when it came may have changed since."""
    if not file.exists() or not digest:
        return file.exists()
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, digest.split(":")[0]).hexdigest() == digest.split(":")[1]


def _receive(url: str, file: Path) -> None:
    """All of a file, or what it lacks; ConnectionError if less came than was promised."""
    start = file.stat().st_size if file.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    answer = _in_time(lambda: requests.get(url, headers=headers, stream=True, timeout=SILENCE))
    if answer.status_code == 416:  # there is no more than this: its checksum says what it is
        return
    if answer.status_code not in (200, 206)[: 1 + bool(start)]:  # 204 is no data, and 206 was not asked for
        raise requests.HTTPError(response=answer)
    start *= answer.status_code == 206
    arrived = _in_time(read := partial(answer.raw.read, BLOCK, decode_content=True))
    if not start and arrived.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise DataError(f"{url} sent a web page, as for a login, and no data: open it in a browser.")
    promised = int(answer.headers.get("Content-Length", -1))
    bar = tqdm(desc=file.name, total=start + promised, initial=start, unit="B", unit_scale=True, leave=False, delay=2)
    with file.open("ab" if start else "wb") as stream, bar:
        while arrived:
            bar.update(stream.write(arrived))
            arrived = _in_time(read)
        short = stream.tell() != start + promised and promised >= 0 and "Content-Encoding" not in answer.headers
    answer.close()
    if short or not file.stat().st_size:
        raise ConnectionError


def _in_time(action: Callable[[], T]) -> T:
    """What an action returns or raises; TimeoutError after SILENCE, even if a byte comes now and then."""
    done: Future[T] = Future()

    def act() -> None:
        try:
            done.set_result(action())
        except Exception as problem:
            done.set_exception(problem)

    Thread(target=act, daemon=True).start()
    return done.result(SILENCE)


def _of_the_network(what: str, problem: Exception, kept: bool) -> DataError:
    """The error of a download in one sentence; raises `problem` itself where that says enough, or is of the disk."""
    if isinstance(problem, DataError) or (getattr(problem, "errno", None) and not isinstance(problem, ConnectionError)):
        raise problem
    said = "cannot be reached or broke off: check the network and start again" + "; what has arrived is kept" * kept
    if (response := getattr(problem, "response", None)) is not None:
        said = f"answered {response.status_code}: start again later"
    return DataError(f"{what} {said}.")
