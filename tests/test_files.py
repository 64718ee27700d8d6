"""Files that are whole or not there."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ppcls.files import (
    Busy,
    exchange,
    locked,
    making_folder,
    read_regular,
    remove_leftovers,
    replacing,
    sha256_of,
    temporary_beside,
    write_text,
)

ROOT = Path(__file__).resolve().parents[1]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "before")
    with pytest.raises(ZeroDivisionError), replacing(path) as draft:
        draft.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "one")
    write_text(path, "two")
    assert path.read_text() == "two"
    assert os.listdir(path.parent) == ["a.txt"]


def test_what_a_killed_process_left_is_swept_up(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    child = os.fork()
    if child == 0:
        with replacing(path) as draft:
            draft.write_text("half")
            os._exit(0)
    os.waitpid(child, 0)
    assert not path.exists() and len(os.listdir(tmp_path)) == 1
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(KeyError), making_folder(target) as folder:
        (folder / "half").write_text("half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with making_folder(target) as folder:
        (folder / "whole").write_text("whole")
        assert folder.parent == tmp_path and not target.exists()
    assert list(tmp_path.iterdir()) == [target]
    assert (target / "whole").read_text() == "whole"


def test_hash_is_that_of_hashlib(tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in (f".partial-{os.getpid()}-a.txt", "a.txt.part", "a.txt"):
        (tmp_path / name).symlink_to(victim)
    write_text(tmp_path / "a.txt", "new")
    assert victim.read_text() == "precious" and (tmp_path / "a.txt").read_text() == "new"


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_only_regular_files_are_read_and_nothing_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_regular(tmp_path / "file", 5) == b"12345"
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "link", 5) == b"12345"
    with pytest.raises(OSError, match="0 MB are accepted"):
        read_regular(tmp_path / "file", 4)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to pipe").symlink_to(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    for name in ("pipe", "to pipe", "socket", "/dev/zero", "/dev/tty"):
        with pytest.raises(OSError, match=r"no regular file, but a pipe|No such file"):
            read_regular(tmp_path / name, 5)
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path, 5)


def test_a_lock_names_its_owner_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    child = os.fork()
    if child == 0:
        with locked(path):
            (tmp_path / "ready").touch()
            time.sleep(60)
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    with pytest.raises(Busy, match=f"^process {child} on .* since 20"), locked(path):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with locked(path):
        assert path.read_text().startswith(f"process {os.getpid()} ")
        with pytest.raises(Busy), locked(path):
            pass
    assert not path.exists()


@pytest.mark.slow
def test_lock_waits_and_ends_with_the_process(tmp_path: Path) -> None:
    path = tmp_path / "deep/file"
    with locked(path, wait=True) as lock:
        assert lock.held and not lock.waited
    code = (
        "import sys, time; from pathlib import Path; from ppcls.files import locked\n"
        "with locked(Path(sys.argv[1]), wait=True): print('locked', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "locked\n"
    waiter = subprocess.Popen(
        [sys.executable, "-c", code.replace("60", "0"), str(path)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    time.sleep(0.5)
    assert waiter.poll() is None
    process.kill()
    process.wait()
    assert waiter.wait(20) == 0
    process.stdout.close()


def test_a_lock_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link"), locked(tmp_path / ".lock"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"


def test_two_folders_change_places_at_once(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange names")
    assert os.listdir(tmp_path / "a") == ["b"] and os.listdir(tmp_path / "b") == ["a"]
    assert not exchange(tmp_path / "a", tmp_path / "missing")


def test_reads_that_give_a_part_at_a_time_are_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, content = os.read, os.urandom(10)
    (tmp_path / "file").write_bytes(content)
    monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 3)))
    assert read_regular(tmp_path / "file", 10) == content


def test_a_file_that_shrinks_while_it_is_read_is_read_to_its_new_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is waited for never comes."""
    read, path = os.read, tmp_path / "file"
    path.write_bytes(b"0123456789")

    def cut(descriptor: int, size: int) -> bytes:
        data = read(descriptor, min(size, 6))
        os.truncate(path, 6)
        return data

    monkeypatch.setattr(os, "read", cut)
    assert read_regular(path, 10) == b"012345"


def test_a_folder_that_takes_no_file_is_named_by_the_file_that_was_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.touch()
    with pytest.raises(NotADirectoryError) as found:
        temporary_beside(folder / "weights.safetensors")
    assert found.value.filename == str(folder / "weights.safetensors")


def test_a_system_without_the_call_cannot_exchange_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(ctypes, "CDLL", lambda name, **options: object())
    assert not exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_text() == "a" and (tmp_path / "b").read_text() == "b"
