"""A loader's threads in a process of their own.

Threads that read images hold Python's lock for a part of the time, and so does the thread that
feeds a GPU; in two processes, neither waits for the other. Images come back through memory that
both share, all else through a socket pair that nobody else can reach.

The process is started as a program and not by `multiprocessing`, which would run the script of the
user once more.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import weakref
from contextlib import closing, suppress
from dataclasses import fields, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generator, Optional, Tuple

import numpy as np

from ppcls import errors, own_parts, runtime
from ppcls.data.batch import Batch
from ppcls.errors import ConfigError, PpclsError

if TYPE_CHECKING:
    from ppcls.data.loader import DataLoader

_SLOTS = 2
"""Batches that lie in the shared memory, besides those that the loader has under way."""

_PATIENCE = 0.5
"""Seconds between two looks at whether the process lives, and whether anybody still waits."""

_START = f"""
import sys
sys.path[:] = sys.argv.pop().split({os.pathsep!r})
from ppcls.data.isolated import serve
serve(*map(int, sys.argv[1:]))
"""
"""What the process runs. It looks for modules where the one that trains does, and nowhere else."""

_log = logging.getLogger("ppcls")


# --- the process that trains ---------------------------------------------------------------------


class Reader:
    """A process that reads the batches of a loader, from when it is made until it is closed."""

    def __init__(self, loader: DataLoader) -> None:
        _refuse_other_systems()
        _refuse_script(loader)
        self._patience = loader.patience
        self._serial = 0
        self._slot = _bytes_of_a_batch(loader)
        size = max(1, _SLOTS * self._slot)
        file = _memory(size)
        self._shared = mmap.mmap(file, size)
        self._pipe, theirs = Pipe()
        try:
            self._process = _started(theirs, file)
        finally:
            theirs.close()
            os.close(file)
        self._hand_over(loader)

    def _hand_over(self, loader: DataLoader) -> None:
        try:
            self._pipe.send(own_parts.imported_files())
            self._pipe.send(_to_send(loader))
        except BrokenPipeError:
            pass  # that it ended is told when it is asked for something
        except Exception as error:
            self.close()
            raise ConfigError(
                "loader.isolate reads in another process, to which the data set, a transform or "
                f"what they hold cannot be sent: {error}; leave isolate out"
            ) from error

    def epoch(self, loader: DataLoader, epoch: int, start: int) -> Generator[Batch, None, None]:
        """Yield batches; see `DataLoader.epoch`."""
        self._serial = serial = self._serial + 1
        has_ended = False
        self._send("epoch", (epoch, start, self._slot, loader.leaves_levels))
        try:
            while True:
                kind, content = self._received(serial)
                has_ended = kind in ("end", "error")
                if kind == "end":
                    return
                if kind == "error":
                    raise _error_of(*content)
                yield self._taken(*content)
        finally:
            if not has_ended and self._serial == serial:
                self._send("stop", None)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, kind: str, content: Any) -> None:
        with suppress(BrokenPipeError, OSError):
            self._pipe.send((kind, self._serial, content))

    def _received(self, serial: int) -> Tuple[str, Any]:
        """Return what comes next of an epoch."""
        while True:
            if self._serial != serial:
                raise RuntimeError("a loader with isolate: true reads one epoch at a time")
            while not self._pipe.poll(_PATIENCE):
                if self._patience.gives_up():
                    self._send("give up", None)
            try:
                kind, of, content = self._pipe.recv()
            except (EOFError, OSError):  # at the border of a message, or within one
                raise RuntimeError(_how_it_ended(self._process)) from None
            if kind == "log":
                _log.log(*content)
            elif of == serial:
                return kind, content

    def _taken(
        self, batch: Batch, slot: Optional[int], shape: Tuple[int, ...], dtype: str
    ) -> Batch:
        """Return a batch with images of its own, and free its place in the shared memory."""
        if slot is None:
            return batch
        count = int(np.prod(shape))
        shared = np.frombuffer(self._shared, dtype, count, slot * self._slot).reshape(shape)
        images = shared.copy()
        self._send("free", slot)
        return replace(batch, images=images)


_readers: weakref.WeakKeyDictionary[DataLoader, Reader] = weakref.WeakKeyDictionary()


def epoch_of(loader: DataLoader, epoch: int, start: int) -> Generator[Batch, None, None]:
    """Yield the batches of an epoch, read by the process of the loader, which is started with the
    first one and ends with the loader.

    Raises:
        ConfigError: the data set or a transform cannot be sent to another process.
        RuntimeError: the process ended, for example as there was no more memory.
    """
    reader = _readers.get(loader)
    if reader is None:
        reader = _readers[loader] = Reader(loader)
        weakref.finalize(loader, reader.close)
    return reader.epoch(loader, epoch, start)


def _to_send(loader: DataLoader) -> DataLoader:
    """Return a loader that reads the same in its own process, and can be sent."""
    from ppcls.data.loader import DataLoader

    own = {item.name: getattr(loader, item.name) for item in fields(DataLoader) if item.init}
    return DataLoader(**{**own, "isolate": False})


def _bytes_of_a_batch(loader: DataLoader) -> int:
    """Return how many bytes the images of a batch take; 0 where their size is not known before."""
    transform = loader.dataset.transform
    sizes = [stage.output_size for stage in loader.pipelines()]
    if None in sizes:
        return 0
    pixels = max(int(np.prod(size)) for size in sizes if size is not None)
    # Batch transforms and the network take float32.
    return loader.sampler.batch_size * transform.channels * pixels * 4


def _memory(size: int) -> int:
    """Return the descriptor of a file in memory, which has no name that others could find."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("ppcls-batches")
    else:
        with tempfile.TemporaryFile() as unnamed:
            file = os.dup(unnamed.fileno())
    os.ftruncate(file, size)
    return file


def _started(pipe: Connection, memory: int) -> subprocess.Popen[bytes]:
    """Start the process, out of reach of the terminal's Ctrl-C: who trains says when it ends."""
    given = (pipe.fileno(), memory)
    return subprocess.Popen(
        [sys.executable, "-c", _START, *map(str, given), os.pathsep.join(sys.path)],
        pass_fds=given,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _refuse_other_systems() -> None:
    """Make sure that the system can pass on what both processes share.

    Raises:
        ConfigError: it cannot.
    """
    if os.name != "posix":
        raise ConfigError("loader.isolate needs Linux or macOS; leave it out")


def _refuse_script(loader: DataLoader) -> None:
    """Make sure that the classes of a loader are known in another process.

    Raises:
        ConfigError: one is of the script that is run.
    """
    parts = [loader.dataset, *loader.batch_transforms, *loader.dataset.transform.ops]
    for kind in map(type, parts):
        if kind.__module__ == "__main__":
            raise ConfigError(
                f"loader.isolate reads in another process, which does not know {kind.__name__} of "
                "the script that is run; put it into a file of its own and import that, or leave "
                "isolate out"
            )


def _error_of(kind: Optional[str], words: str, trace: str) -> Exception:
    """Return the error of the other process: one for users as it was, another with its traceback as
    the cause.
    """
    if kind is not None:
        known: Exception = getattr(errors, kind)(words)
        return known
    made = RuntimeError(words)
    made.__cause__ = RuntimeError(f"in the process that reads images:\n{trace}")
    return made


def _how_it_ended(process: subprocess.Popen[bytes]) -> str:
    status = process.wait()
    how = f"status {status}"
    if status < 0:
        how = signal.Signals(-status).name
        how += ": perhaps there was no more memory" if status == -signal.SIGKILL else ""
    return f"the process that reads images (loader.isolate) has ended: {how}"


# --- the process that reads ----------------------------------------------------------------------


class _Server:
    """Reads epochs that are asked for, until nobody is there any more."""

    def __init__(self, pipe: Connection, shared: mmap.mmap) -> None:
        self._pipe, self._shared = pipe, shared
        self._sending = threading.Lock()
        self._orders: SimpleQueue[Tuple[int, Any]] = SimpleQueue()
        self._room: Tuple[int, SimpleQueue[Optional[int]]] = (0, SimpleQueue())
        self._gives_up = threading.Event()

    def run(self) -> None:
        """Import what is needed, and read epoch after epoch."""
        own_parts.import_files(self._pipe.recv())
        loader = self._pipe.recv()
        _ignore_signals()  # once more: own parts may import Paddle, which catches them
        loader.patience.gives_up = self._gives_up.is_set
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            serial, (epoch, start, slot, loader.leaves_levels) = self._orders.get()
            try:
                with closing(loader.epoch(epoch, start)) as batches:
                    for batch in batches:
                        if not self._hand_out(serial, batch, slot):
                            break
                self.send("end", serial, None)
            except Exception as error:
                self.send("error", serial, _told(error))

    def send(self, kind: str, serial: int, content: Any) -> None:
        """Send something; whoever reads it may have gone."""
        with self._sending, suppress(BrokenPipeError):
            self._pipe.send((kind, serial, content))

    def _listen(self) -> None:
        while True:
            try:
                kind, serial, content = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(0)  # nobody is there who could want anything
            if kind == "epoch":
                self._room[1].put(None)  # whoever waits in the epoch before, waits no more
                self._room = serial, _full(_SLOTS)
                self._gives_up.clear()
                self._orders.put((serial, content))
            elif serial == self._room[0] and kind == "free":
                self._room[1].put(content)
            elif serial == self._room[0]:
                # Who gives up waits no longer for images that are out of reach, and wants the rest.
                self._gives_up.set()
                if kind == "stop":
                    self._room[1].put(None)

    def _hand_out(self, serial: int, batch: Batch, slot_bytes: int) -> bool:
        """Send a batch as soon as there is room; return whether more are wanted."""
        images = batch.images
        current, free = self._room
        slot = free.get() if serial == current else None
        if slot is None:
            return False
        if images.nbytes > slot_bytes:
            free.put(slot)
            self.send("batch", serial, (batch, None, (), ""))
            return True
        place = np.frombuffer(self._shared, images.dtype, images.size, slot * slot_bytes)
        place[:] = images.reshape(-1)
        rest = replace(batch, images=images[:0])
        self.send("batch", serial, (rest, slot, images.shape, images.dtype.str))
        return True


class _Forward(logging.Handler):
    """Lets the process that trains say what is said here."""

    def __init__(self, server: _Server) -> None:
        super().__init__()
        self._server = server

    def emit(self, record: logging.LogRecord) -> None:
        self._server.send("log", 0, (record.levelno, "%s", record.getMessage()))


def _full(count: int) -> SimpleQueue[Optional[int]]:
    queue: SimpleQueue[Optional[int]] = SimpleQueue()
    for number in range(count):
        queue.put(number)
    return queue


def _told(error: Exception) -> Tuple[Optional[str], str, str]:
    """Return the class of an error for users, the words, and the traceback of another error."""
    name = type(error).__name__
    if isinstance(error, PpclsError) and getattr(errors, name, None) is type(error):
        return name, str(error), ""
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return None, str(error), trace


def _ignore_signals() -> None:
    """Leave it to the process that trains when to end: it needs the rest of its images."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def serve(pipe: int, memory: int) -> None:
    """Be the process that reads, until nobody is there who could want anything.

    Args:
        pipe: the descriptor of the socket to the process that trains.
        memory: that of the memory which both share.
    """
    _ignore_signals()
    runtime.keep_freed_memory()  # decoded images are as large as what glibc gives back at once
    server = _Server(Connection(pipe), mmap.mmap(memory, 0))
    _log.setLevel(logging.INFO)
    _log.addHandler(_Forward(server))
    with suppress(EOFError):
        server.run()
