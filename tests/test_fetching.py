"""Servers that are silent, drip, break off or send a page: a sentence in time, and never a file that is not whole."""

import hashlib
import socketserver
import threading
import time
import zlib

import numpy as np
import pytest

from presimal.data import fetching
from presimal.data.fetching import fetch
from synthcohort.storage import DataError

CONTENT = np.random.default_rng(0).bytes(900_000)
MD5, SHA256 = (f"{kind}:{hashlib.new(kind, CONTENT).hexdigest()}" for kind in ("md5", "sha256"))
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT
PAGE = b"\r\n<!DOCTYPE html><html><title>Hospital guest network</title>" + b"<p>Log in</p>" * 99
LATE, FEW = 0.5, 0.05  # seconds


@pytest.fixture
def server(monkeypatch):
    """Sends what `answers` yields, one after another, to whoever asks; `asked` holds the requests."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetching, "SILENCE", LATE)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            asked = b""
            while not asked.endswith(b"\r\n\r\n"):
                asked += self.request.recv(4096)
            server.asked.append(asked.decode())
            try:
                for piece in server.answers():
                    self.request.sendall(piece)
            except OSError:
                pass  # the client has had enough

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close, allow_reuse_address = True, False, True

    server = Server(("127.0.0.1", 0), Handler)
    server.asked, server.url = [], f"http://127.0.0.1:{server.server_address[1]}/a.tar"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def drip(pieces=300, start=b"", one=b"x"):
    yield start
    for _ in range(pieces):
        time.sleep(FEW)
        yield one


def silent(*pieces):
    yield from pieces
    time.sleep(20)


LENGTH = b"Content-Length: 900000\r\n\r\n"
TOO_LATE = {
    "no word": lambda: silent(),
    "half a header": lambda: silent(HEAD),
    "header and nothing": lambda: silent(HEAD + LENGTH),
    "half of it": lambda: silent(HEAD + LENGTH, CONTENT[:500_000]),
    "a header that drips": lambda: drip(one=b"X: y\r\n", start=HEAD),
    "a line that drips": lambda: drip(start=b"HTTP/1.1 200 "),
    "it drips": lambda: drip(start=HEAD + LENGTH),
    "it drips at the end": lambda: drip(start=HEAD + LENGTH + CONTENT[:500_000]),
    "it drips in chunks": lambda: drip(start=HEAD + b"Transfer-Encoding: chunked\r\n\r\n", one=b"1\r\nx\r\n"),
    "it drips without a length": lambda: drip(start=HEAD + b"\r\n"),
}


@pytest.mark.parametrize("digest", ["", MD5])
@pytest.mark.parametrize("name", TOO_LATE)
def test_a_server_that_keeps_one_waiting_is_left_in_time(server, tmp_path, name, digest):
    server.answers = TOO_LATE[name]
    started = time.perf_counter()
    with pytest.raises(DataError, match="cannot be reached or broke off: check the network and start again"):
        fetch(server.url, tmp_path / "a.tar", digest)
    assert time.perf_counter() - started < 5 * LATE and not (tmp_path / "a.tar").exists()
    server.answers = lambda: [WHOLE]
    assert fetch(server.url, tmp_path / "a.tar", digest).read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["a.tar"]


BROKEN = {
    "nothing": b"",
    "no header": b"\x15\x03\x01 SSL",
    "half of the promised": HEAD + LENGTH + CONTENT[:450_000],
    "all but one byte": WHOLE[:-1],
    "a chunk short": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2000\r\n" + CONTENT[:100],
    "no last chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n",
    "a chunk of no size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabcd\r\n",
    "no gzip": HEAD + b"Content-Encoding: gzip\r\n\r\n" + CONTENT[:5000],
    "a circle": b"HTTP/1.1 302 Found\r\nLocation: /a.tar\r\nContent-Length: 0\r\n\r\n",
    "a place that is none": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("digest", ["", SHA256])
@pytest.mark.parametrize("name", BROKEN)
def test_what_broke_off_is_never_taken_for_all(server, tmp_path, name, digest):
    server.answers = lambda: [BROKEN[name]]
    with pytest.raises(DataError, match="cannot be reached or broke off|answered 302"):
        fetch(server.url, tmp_path / "a.tar", digest)
    assert not (tmp_path / "a.tar").exists()
    server.answers = lambda: [WHOLE]
    assert fetch(server.url, tmp_path / "a.tar", digest).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", [b"text/html", b"application/octet-stream"])
@pytest.mark.parametrize("digest", ["", MD5])
def test_a_page_for_a_login_is_no_data(server, tmp_path, kind, digest):
    """Hotels and hospitals send one with status 200 for whatever is asked; what has arrived before is not harmed."""
    part = tmp_path / "a.tar.part"
    if digest:
        part.write_bytes(CONTENT[:1000])
    server.answers = lambda: [HEAD + b"Content-Type: " + kind + b"\r\n\r\n" + PAGE]
    with pytest.raises(DataError, match="a.tar sent a web page, as for a login, and no data: open it in a browser"):
        fetch(server.url, tmp_path / "a.tar", digest)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([CONTENT[:1000]] if digest else [])


def rest(start):
    about = f"Content-Range: bytes {start}-899999/900000\r\nContent-Length: {900_000 - start}\r\n\r\n"
    return [b"HTTP/1.1 206 Partial Content\r\n" + about.encode() + CONTENT[start:]]


@pytest.mark.parametrize(
    ("there", "answers", "good"),
    [
        (CONTENT[:1000], lambda: rest(1000), True),
        (CONTENT[:1000], lambda: [WHOLE], True),  # the server begins again
        (CONTENT, lambda: [b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n"], True),  # killed before it got its name
        (CONTENT + b"more", lambda: [b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n"], False),
        (b"other" * 200, lambda: rest(1000), False),
    ],
)
def test_what_is_there_is_gone_on_with_if_it_fits(server, tmp_path, there, answers, good):
    (tmp_path / "a.tar.part").write_bytes(there)
    server.answers = answers
    if good:
        assert fetch(server.url, tmp_path / "a.tar", MD5).read_bytes() == CONTENT
    else:
        with pytest.raises(DataError, match="does not have its published checksum: start again later"):
            fetch(server.url, tmp_path / "a.tar", MD5)
        assert not list(tmp_path.iterdir())
    assert f"Range: bytes={len(there)}-" in server.asked[0]


@pytest.mark.parametrize("there", [CONTENT[:-1], b"\0" + CONTENT[1:], b"", CONTENT + b"x"])
def test_what_is_there_under_its_name_is_looked_at_again(server, tmp_path, there):
    """A disk, or somebody who helped, may have changed it since it came."""
    file = tmp_path / "a.tar"
    file.write_bytes(there)
    server.answers = lambda: [WHOLE]
    assert fetch(server.url, file, MD5) == file and file.read_bytes() == CONTENT and len(server.asked) == 1
    assert fetch(server.url, file, MD5) == file and len(server.asked) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tar"]


def test_without_a_checksum_nothing_is_put_together_from_two_times(server, tmp_path):
    (tmp_path / "a.tar.part").write_bytes(b"of yesterday")
    server.answers = lambda: [WHOLE]
    assert fetch(server.url, tmp_path / "a.tar").read_bytes() == CONTENT and "Range" not in server.asked[0]


def test_what_was_compressed_on_the_way_is_as_it_was(server, tmp_path):
    packed = zlib.compressobj(wbits=31)
    sent = packed.compress(CONTENT) + packed.flush()
    server.answers = lambda: [HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(sent) + sent]
    assert fetch(server.url, tmp_path / "a.tar", MD5).read_bytes() == CONTENT


NO_ANSWER = {
    "a length in words": HEAD + b"Content-Length: many\r\n\r\n" + CONTENT,
    "a page that is nowhere": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
    "a page without a name": b"HTTP/1.1 302 Found\r\nLocation: \r\nContent-Length: 0\r\n\r\n",
    "a page of other letters": b"HTTP/1.1 302 Found\r\nLocation: /\xe6\xf8\xe5\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not changed": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "a part that was not asked for": b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n\r\nabcde",
    "nothing": HEAD + b"Content-Length: 0\r\n\r\n",
    "nothing, and no length": HEAD + b"\r\n",
    "chunks of no size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\nabc",
    "no HTTP": b"SSH-2.0-OpenSSH_9.9\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("digest", ["", SHA256])
@pytest.mark.parametrize("name", NO_ANSWER)
def test_an_odd_answer_is_one_sentence_and_no_file(server, tmp_path, name, digest):
    server.answers = lambda: iter([NO_ANSWER[name]])
    with pytest.raises(DataError) as refused:
        fetch(server.url, tmp_path / "a.tar", digest)
    assert "\n" not in str(refused.value) and str(refused.value).endswith(".")
    assert not (tmp_path / "a.tar").exists()
