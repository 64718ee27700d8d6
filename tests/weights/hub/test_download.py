"""Downloads over bad connections and from bad servers: whole and right, or not at all."""

from __future__ import annotations

import email.utils
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ppcls.errors import DownloadError, UnreachableError, WrongContentError
from ppcls.text import megabytes
from ppcls.weights.hub import download as module
from ppcls.weights.hub.download import Patience, copy, download

ROOT = Path(__file__).resolve().parents[3]
HASTY = Patience(timeout=0.4, attempts=3, pause=0.01)


def fetch(site: Any, target: Path, sha256: Optional[str] = None) -> None:
    download(site.address, target, sha256, patience=HASTY)


def visible(folder: Path) -> List[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_file_comes_whole_and_leaves_nothing_else(site: Any, target: Path) -> None:
    fetch(site, target, site.sha256)
    site.assert_fetched(target)
    assert site.ranges == [None]
    assert site.requests[0]["User-Agent"].startswith("ppcls/")
    assert site.requests[0]["Accept-Encoding"] == "identity"


def test_file_that_was_there_is_replaced_only_by_a_whole_one(site: Any, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    site.plan = [site.answers(404)]
    with pytest.raises(DownloadError):
        fetch(site, target)
    assert target.read_bytes() == b"old"
    fetch(site, target)
    site.assert_fetched(target)


def test_log_says_what_is_fetched(
    site: Any, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "ppcls"):
        fetch(site, target)
    assert f"fetching {site.address} (0.3 MB)" in caplog.text
    assert "neither https nor a known SHA-256" in caplog.text
    assert megabytes(97_781_234) == "97.8 MB"


ON_A_TERMINAL = """
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if not child:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    os.execv(sys.executable, [sys.executable, "-c", *sys.argv[1:]])
shown = b""
try:
    while True:
        shown += os.read(terminal, 9999)
except OSError:
    print(shown.decode())
"""
FETCH = """
import sys
from pathlib import Path
from ppcls.weights.hub.download import download
download(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
"""


def test_terminal_shows_a_bar(site: Any, target: Path) -> None:
    program = [sys.executable, "-c", ON_A_TERMINAL, FETCH, site.address, target, site.sha256]
    done = subprocess.run(list(map(str, program)), cwd=ROOT, capture_output=True, text=True)
    assert re.search(r"net\.pdparams +0%", done.stdout), done.stderr
    assert max(map(len, done.stdout.replace("\r", "\n").splitlines())) <= 80
    site.assert_fetched(target)


# --- connections that break off or stall -------------------------------------------------------


def test_goes_on_where_the_connection_broke_off(site: Any, target: Path) -> None:
    site.plan = [site.breaks_off(100_000)]
    fetch(site, target, site.sha256)
    site.assert_fetched(target)
    assert site.ranges == [None, "bytes=100000-"]
    assert site.requests[1]["If-Range"] == '"one"'


def test_gives_up_after_failures_in_a_row_but_keeps_what_came(site: Any, target: Path) -> None:
    site.plan = [site.breaks_off(100_000), *[site.answers(503)] * 2]
    with pytest.raises(UnreachableError, match=r"127.0.0.1: the server answers 503.*0.1 MB are ke"):
        fetch(site, target)
    assert not target.exists()
    fetch(site, target)
    site.assert_fetched(target)
    assert site.ranges == [None, "bytes=100000-", "bytes=100000-", "bytes=100000-"]


def test_failures_with_new_bytes_in_between_do_not_add_up(site: Any, target: Path) -> None:
    def a_little(site: Any, handler: Any) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        site.head(handler, 206 if start else 200, len(site.content) - start, start)
        handler.wfile.write(site.content[start : start + 30_000])

    site.plan = [a_little] * 8
    fetch(site, target, site.sha256)
    site.assert_fetched(target)
    assert len(site.requests) == 9


def test_stall_is_noticed_and_the_rest_fetched(site: Any, target: Path) -> None:
    site.plan = [site.stalls(50_000)]
    started = time.monotonic()
    fetch(site, target, site.sha256)
    site.assert_fetched(target)
    assert 0.4 <= time.monotonic() - started < 5
    assert site.ranges == [None, "bytes=50000-"]


@pytest.mark.slow
def test_server_that_never_answers_is_given_up_soon(site: Any, target: Path) -> None:
    site.plan = [site.is_slow(5)] * 9
    with pytest.raises(UnreachableError, match=r"127.0.0.1: nothing came for 0.4 s"):
        fetch(site, target)
    assert len(site.requests) == 2


@pytest.mark.slow
def test_dripping_counts_as_stalling(site: Any, target: Path) -> None:
    site.plan = [site.drips] * 9
    with pytest.raises(UnreachableError, match="fewer than 1024 bytes a second"):
        fetch(site, target)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", id="header"),
        pytest.param(b"HTTP/1.1 100 Continue\r\nX: ", id="header of no answer"),
        pytest.param(CHUNKED + b"1;", id="length of a chunk"),
    ],
)
def test_a_server_that_drips_is_given_up_soon(site: Any, target: Path, start: bytes) -> None:
    site.plan = [site.goes_on_with(start, b"x", pause=0.05)] * 9
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="fewer than 1024 bytes a second"):
        fetch(site, target)
    assert time.monotonic() - started < 3 and len(site.requests) == 2


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="answers before the answer"),
        pytest.param(CHUNKED + b"0\r\n", b"X: x\r\n", id="trailers"),
    ],
)
def test_a_header_without_end_is_given_up_soon(
    site: Any, target: Path, start: bytes, rest: bytes
) -> None:
    site.plan = [site.goes_on_with(start, rest)] * 9
    with pytest.raises(UnreachableError, match="its header does not end"):
        fetch(site, target)


def test_chunks_are_put_together(site: Any, target: Path) -> None:
    def in_chunks(site: Any, handler: Any) -> None:
        pieces = [site.content[n : n + 50] for n in range(0, len(site.content), 50)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        handler.wfile.write(CHUNKED + body + b"0\r\nX: x\r\n\r\n")

    site.plan = [in_chunks]
    fetch(site, target, site.sha256)
    site.assert_fetched(target)


def test_nobody_listens(target: Path, cache: Path) -> None:
    with pytest.raises(UnreachableError, match=r"127.0.0.1: no answer \(Connection refused\)$"):
        download("http://127.0.0.1:1/net.pdparams", target, patience=HASTY)


def test_no_network(target: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UnreachableError, match=r"a.example: no answer \(Name or service not kn"):
        download("https://a.example/net", target, patience=HASTY)


def test_server_that_ignores_ranges_starts_anew(site: Any, target: Path) -> None:
    site.plan = [site.breaks_off(100_000), site.whole]
    fetch(site, target, site.sha256)
    site.assert_fetched(target)
    assert site.ranges == [None, "bytes=100000-"]


def test_server_without_validators_starts_anew(site: Any, target: Path) -> None:
    site.etag = None
    site.plan = [site.breaks_off(100_000)]
    fetch(site, target)
    site.assert_fetched(target)
    assert site.ranges == [None, None]


def test_time_of_change_is_a_validator_where_the_etag_is_weak(site: Any, target: Path) -> None:
    site.etag, site.modified = 'W/"one"', "Sat, 01 Jan 2022 00:00:00 GMT"
    site.plan = [site.breaks_off(100_000)]
    fetch(site, target)
    site.assert_fetched(target)
    assert site.requests[1]["If-Range"] == site.modified
    assert site.ranges == [None, "bytes=100000-"]


def test_file_that_changes_in_between_is_not_pieced_together(site: Any, target: Path) -> None:
    def breaks_off_and_changes(site: Any, handler: Any) -> None:
        site.breaks_off(100_000)(site, handler)
        site.content, site.etag = site.content[::-1], '"two"'

    site.plan = [breaks_off_and_changes]
    fetch(site, target)
    site.assert_fetched(target)


def test_server_that_sends_the_rest_of_another_file_is_seen_through(
    site: Any, target: Path
) -> None:
    def rest(site: Any, handler: Any) -> None:
        site.content, site.etag = site.content[::-1], '"two"'
        site.head(handler, 206, len(site.content) - 100_000, 100_000)
        handler.wfile.write(site.content[100_000:])

    site.plan = [site.breaks_off(100_000), rest]
    fetch(site, target)
    site.assert_fetched(target)
    assert site.ranges == [None, "bytes=100000-", None]


def test_part_of_another_place_in_the_file_is_refused(site: Any, target: Path) -> None:
    def wrong_place(site: Any, handler: Any) -> None:
        site.head(handler, 206, len(site.content) - 5, 5)
        handler.wfile.write(site.content[5:])

    site.plan = [site.breaks_off(100_000), wrong_place]
    fetch(site, target)
    site.assert_fetched(target)


def test_rest_may_come_in_pieces(site: Any, target: Path) -> None:
    def piece(site: Any, handler: Any) -> None:
        start = int(handler.headers["Range"][len("bytes=") : -1])
        site.head(handler, 206, 50_000, start)
        handler.wfile.write(site.content[start : start + 50_000])

    site.plan = [site.breaks_off(100_000), piece, piece]
    fetch(site, target, site.sha256)
    site.assert_fetched(target)
    assert site.ranges == [None, "bytes=100000-", "bytes=150000-", "bytes=200000-"]


def test_start_of_a_file_from_elsewhere_is_not_used(
    site: Any, new_site: Callable[[], Any], target: Path
) -> None:
    other = new_site()
    other.content = site.content[::-1]
    other.plan = [other.breaks_off(100_000), *[other.answers(503)] * 9]
    with pytest.raises(UnreachableError):
        fetch(other, target)
    fetch(site, target)
    site.assert_fetched(target)
    assert site.ranges == [None]


def test_part_that_does_not_fit_any_more_is_dropped(site: Any, target: Path) -> None:
    site.plan = [site.breaks_off(100_000), site.answers(416)]
    fetch(site, target)
    site.assert_fetched(target)
    assert site.ranges == [None, "bytes=100000-", None]


def test_damaged_note_on_the_part_means_starting_anew(site: Any, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("net.pdparams.part").write_bytes(b"rubbish")
    target.with_name("net.pdparams.part.json").write_text("{")
    fetch(site, target)
    site.assert_fetched(target)


def test_chunks_and_their_breaking_off(site: Any, target: Path) -> None:
    def chunks(last: bytes) -> Callable[[Any, Any], None]:
        def behave(site: Any, handler: Any) -> None:
            handler.protocol_version = "HTTP/1.1"
            site.answers(200, Content_Length=None, Transfer_Encoding="chunked")(site, handler)
            handler.wfile.write(b"%x\r\n%s\r\n%s" % (len(site.content), site.content, last))
            handler.close_connection = True

        return behave

    site.plan = [chunks(b""), chunks(b"0\r\n\r\n")]
    fetch(site, target)
    site.assert_fetched(target)
    assert len(site.requests) == 2


# --- servers that answer something else --------------------------------------------------------


def test_busy_server_is_asked_again(site: Any, target: Path) -> None:
    site.plan = [site.answers(500), site.answers(429, Retry_After="0")]
    fetch(site, target)
    site.assert_fetched(target)


@pytest.mark.slow
def test_server_says_when_to_come_back(site: Any, target: Path) -> None:
    site.plan = [site.answers(503, Retry_After="1")]
    started = time.monotonic()
    fetch(site, target)
    assert time.monotonic() - started >= 1


def pauses(site: Any, target: Path, monkeypatch: pytest.MonkeyPatch, pause: float) -> List[float]:
    slept: List[float] = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    patience = Patience(attempts=len(site.plan) + 1, pause=pause)
    download(site.address, target, site.sha256, patience=patience)
    site.assert_fetched(target)
    return slept


def test_pauses_double(site: Any, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.plan = [site.answers(503)] * 7
    assert pauses(site, target, monkeypatch, 1.5) == [1.5, 3, 6, 12, 24, 48, 60]


def test_longer_pauses_may_be_asked_for(
    site: Any, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = email.utils.formatdate(time.time() + 50, usegmt=True)
    asked = ["9", "soon", "99999", later]
    site.plan = [site.answers(503, Retry_After=when) for when in asked]
    *known, until = pauses(site, target, monkeypatch, 0.25)
    assert known == [9, 0.5, 60]
    assert 40 < until <= 50


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refusal_is_final(site: Any, target: Path, status: int) -> None:
    site.plan = [site.answers(status)]
    with pytest.raises(DownloadError, match=rf"net.pdparams: the server answers {status}"):
        fetch(site, target)
    assert len(site.requests) == 1
    assert visible(target.parent) == []


def test_login_page_is_no_file(site: Any, target: Path) -> None:
    site.plan = [site.answers(200, b"<html>log in", Content_Type="text/html; charset=utf-8")]
    with pytest.raises(WrongContentError, match="a web page instead of a file"):
        fetch(site, target)


def test_compressed_endless_and_empty_answers_are_refused(site: Any, target: Path) -> None:
    site.plan = [
        site.answers(200, b"xx", Content_Encoding="gzip"),
        site.answers(200, b"xx", Content_Length=None),
        site.answers(200, b""),
        site.answers(204),
    ]
    for words in ("as gzip", "does not say how long", "an empty file", "answers 204"):
        with pytest.raises(DownloadError, match=words):
            fetch(site, target)
    assert visible(target.parent) == []


def test_disk_too_small(site: Any, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr("ppcls.weights.hub.part.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"has 1.0 MB left, and 0.3 MB are to come.*PPCLS_HOME"):
        fetch(site, target)
    assert target.with_name("net.pdparams.part").exists() is False


def test_file_without_end(site: Any, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGEST", 100_000)
    with pytest.raises(DownloadError, match="does not end after 0.1 MB"):
        fetch(site, target)


HEADERS = [
    *(
        "Content-Length: 5",
        "Content-Length: -1",
        "Content-Length: abc",
        f"Content-Length: {'9' * 20}",
    ),
    *("Content-Range: bytes 0-4/5", "Content-Range: bytes 3-4/5", "Content-Range: x"),
    *('ETag: "a"', "ETag: \xff", "ETag:", "Last-Modified: \xe9", "Retry-After: x"),
    *(
        "Location: http://[::1",
        "Location: //",
        "Location:",
        "Location: http://a..b/",
        "Location: /x",
    ),
    *("Transfer-Encoding: chunked", "Content-Encoding: br", "Content-Type: text/html"),
]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from([b"HTTP/1.0 ", b"HTTP/1.1 ", b"", b"\xff"]),
    status=st.sampled_from([200, 206, 302, 308, 416, 503, 404, 100, 999]),
    headers=st.lists(st.sampled_from(HEADERS), max_size=5),
    body=st.sampled_from([b"", b"hello", b"he", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n"]),
)
def test_any_answer_is_a_file_or_an_error_in_words(
    site: Any, target: Path, start: bytes, status: int, headers: List[str], body: bytes
) -> None:
    head = "\r\n".join([f"{status} Words", *headers, "", ""]).encode("latin-1")

    def raw(site: Any, handler: Any) -> None:
        handler.wfile.write(start + head + body)

    site.plan = [raw] * 3
    try:
        download(site.address, target, patience=Patience(timeout=0.3, attempts=3, pause=0))
    except DownloadError as error:
        assert str(error)
    assert not target.exists() or target.read_bytes()


# --- content -----------------------------------------------------------------------------------


def test_corrupt_bytes_are_fetched_once_more(
    site: Any, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.plan = [site.corrupts]
    with caplog.at_level(logging.WARNING, "ppcls"):
        fetch(site, target, site.sha256)
    site.assert_fetched(target)
    assert site.ranges == [None, None]
    assert f"it should be {site.sha256}; fetching it once more" in caplog.text


def test_bytes_that_stay_corrupt_are_one_clear_error(site: Any, target: Path) -> None:
    site.plan = [site.corrupts] * 9
    with pytest.raises(WrongContentError, match=rf"has the SHA-256 .* be {site.sha256}"):
        fetch(site, target, site.sha256)
    assert len(site.requests) == 2
    assert visible(target.parent) == []


def test_check_refuses_before_the_target_is_touched(site: Any, target: Path) -> None:
    def refuse(path: Path) -> None:
        assert path.read_bytes() == site.content
        raise WrongContentError("not mine")

    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(WrongContentError, match="not mine"):
        download(site.address, target, check=refuse, patience=HASTY)
    assert target.read_bytes() == b"old"
    assert visible(target.parent) == [target.name]


def test_copy_of_a_local_file(tmp_path: Path, target: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    copy(source, target, digest)
    assert target.read_bytes() == b"abc"
    source.write_bytes(b"abd")
    with pytest.raises(WrongContentError, match=digest):
        copy(source, target, digest)
    assert target.read_bytes() == b"abc"
    with pytest.raises(DownloadError, match="there is no file"):
        copy(tmp_path / "none", target)


# --- several at once, and killed ones ----------------------------------------------------------


def test_threads_that_want_the_same_file_fetch_it_once(site: Any, target: Path) -> None:
    site.plan = [site.is_slow(0.2)]
    threads = [threading.Thread(target=fetch, args=(site, target, site.sha256)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    site.assert_fetched(target)
    assert len(site.requests) == 1


def test_without_locks_everybody_has_a_part_of_his_own(
    site: Any, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr("ppcls.files.fcntl.flock", refuse)
    names: List[str] = []

    def look(path: Path) -> None:
        names.append(path.name)

    download(site.address, target, check=look, patience=HASTY)
    assert names == [f"net.pdparams.part-{os.getpid()}"]
    site.assert_fetched(target)


def test_a_planted_link_is_not_written_through(site: Any, target: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_name(f"{target.name}.part").symlink_to(victim)
    fetch(site, target, site.sha256)
    site.assert_fetched(target)
    assert victim.read_text() == "precious"


@pytest.mark.slow
def test_killed_process_is_gone_on_from(site: Any, target: Path) -> None:
    command = [sys.executable, "-c", FETCH, site.address, str(target), site.sha256]
    site.plan = [site.stalls(150_000)]
    process = subprocess.Popen(command, cwd=ROOT)
    part = target.with_name("net.pdparams.part")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size == 150_000):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    assert subprocess.run(command, cwd=ROOT).returncode == 0
    site.assert_fetched(target)
    assert site.ranges == [None, "bytes=150000-"]
