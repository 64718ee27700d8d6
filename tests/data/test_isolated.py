"""Reading in a process of its own: the same batches, the same errors, and nothing left behind."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, List

import numpy as np
import pytest

from ppcls.data import isolated
from ppcls.data.batch_transforms.mixup import MixupOperator
from ppcls.data.cache import ImageCache
from ppcls.data.dataset import ImageNetDataset
from ppcls.data.loader import DataLoader
from ppcls.data.outage import Patience
from ppcls.data.sampler import DistributedBatchSampler
from ppcls.errors import ConfigError, DataError, OutageError

RANDOM = [
    "DecodeImage",
    {"RandCropImage": {"size": 8, "scale": [0.2, 1.0]}},
    {"NormalizeImage": {"order": ""}},
]


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty images of one level each; number 4 is none."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("isolated")
    for n in range(30):
        Image.new("L", (10, 12), 8 * n).save(folder / f"{n:02d}.png")
    (folder / "04.png").write_text("<html>")
    (folder / "list.txt").write_text("".join(f"{n:02d}.png {n % 3}\n" for n in range(30)))
    return folder


@pytest.fixture()
def loader(listed: Path, parts: Any) -> Callable[..., DataLoader]:
    def make(*ops: Any, folder: Path = listed, **rest: Any) -> DataLoader:
        data = ImageNetDataset(str(folder), str(folder / "list.txt"), parts(*(ops or RANDOM)))
        sampler = DistributedBatchSampler(8, shuffle=True, length=len(data), seed=5)
        return DataLoader(data, sampler, **{"num_workers": 2, "seed": 5, **rest})

    return make


def everything(loader: DataLoader, epoch: int, start: int = 0) -> List[Any]:
    return [
        (
            batch.images.tobytes(),
            batch.images.shape,
            batch.images.dtype,
            batch.labels.kind,
            batch.labels.values.tolist(),
            batch.indices.tolist(),
            batch.number,
            batch.bad,
            len(batch.left),
        )
        for batch in loader.epoch(epoch, start)
    ]


def pid_of(loader: DataLoader) -> int:
    return isolated._readers[loader]._process.pid


def has_ended(pid: int) -> bool:
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


WAYS = {
    "threads": {},
    "no threads": {"num_workers": 0},
    "levels": {"leaves_levels": True},
    "cache": {"cache": ImageCache(1 << 20, True)},
    "mixup": {"batch_transforms": [MixupOperator(1.0, class_num=3)]},
}


QUICK = ("threads", "levels")


@pytest.mark.slow
@pytest.mark.parametrize(
    "way",
    [
        pytest.param(way, id=name, marks=() if name in QUICK else pytest.mark.exhaustive)
        for name, way in WAYS.items()
    ],
)
def test_nothing_else_changes(way: Any, loader: Any) -> None:
    plain, other = loader(**way), loader(**way, isolate=True)
    for epoch, start in ((0, 0), (3, 2), (1, 4)):
        assert everything(other, epoch, start) == everything(plain, epoch, start)


@pytest.mark.slow
def test_images_whose_size_nobody_knows_before(loader: Any) -> None:
    plain, other = loader("DecodeImage"), loader("DecodeImage", isolate=True)
    assert everything(other, 0) == everything(plain, 0)


@pytest.mark.slow
def test_one_process_batch_after_batch_and_epoch_after_epoch(loader: Any) -> None:
    """What is handed out stays, epochs can be left, and the process ends with the loader."""
    one = loader(isolate=True)
    batches = list(one.epoch(0))
    pid = pid_of(one)
    kept = [batch.images.copy() for batch in batches]
    assert all(batch.images.flags.writeable for batch in batches)
    for batch in batches:
        np.add(batch.images, 1, out=batch.images)
    np.testing.assert_array_equal(
        np.concatenate([batch.images for batch in batches]), np.concatenate(kept) + 1
    )

    wanted = everything(loader(), 2)
    for taken in (0, 1, 3):
        begun = one.epoch(2)
        for _ in range(taken):
            next(begun)
        begun.close()
        assert everything(one, 2) == wanted
    assert pid_of(one) == pid and Path(f"/proc/{pid}").exists()
    del one, begun
    gc.collect()
    assert has_ended(pid)


@pytest.mark.slow
def test_one_epoch_at_a_time(loader: Any) -> None:
    one = loader(isolate=True)
    first, second = one.epoch(0), one.epoch(1)
    next(first)
    next(second)
    with pytest.raises(RuntimeError, match="one epoch at a time"):
        list(first)
    assert len(list(second)) == 3


@pytest.mark.slow
def test_errors_for_users_stay_what_they_are(listed: Path, loader: Any, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (7, 5)).save(tmp_path / "a.png")
    Image.new("RGB", (5, 7)).save(tmp_path / "b.png")
    (tmp_path / "list.txt").write_text("a.png 0\nb.png 0\n")
    one = loader("DecodeImage", folder=tmp_path, isolate=True)
    with pytest.raises(DataError, match="the images of a batch differ in size"):
        list(one.epoch(0))


OWN = """
import numpy as np
from ppcls.data.transforms import Transform
from ppcls.registry import register

@register("transform")
class IsolatedOwn{name}(Transform):
    def __call__(self, image, rng):
        if {fails}:
            raise ZeroDivisionError("a bug")
        return 255 - image
"""


@pytest.fixture()
def own(tmp_path: Path, own_parts: None) -> Callable[..., str]:
    from ppcls.own_parts import import_part

    def make(name: str, fails: bool, first: str = "") -> str:
        path = tmp_path / f"isolated_own_{name.lower()}.py"
        path.write_text(first + OWN.format(name=name, fails=fails))
        import_part(str(path))
        return f"IsolatedOwn{name}"

    return make


@pytest.mark.slow
def test_parts_of_ones_own_are_known_there(own: Any, loader: Any) -> None:
    ops = [*RANDOM[:2], own("Inverse", False)]
    assert everything(loader(*ops, isolate=True), 0) == everything(loader(*ops), 0)


@pytest.mark.slow
def test_other_errors_come_with_their_traceback(own: Any, loader: Any) -> None:
    one = loader(*RANDOM[:2], own("Broken", True), isolate=True)
    with pytest.raises(RuntimeError, match=r"image \d+, '.*png'.*a bug") as caught:
        list(one.epoch(0))
    assert 'raise ZeroDivisionError("a bug")' in str(caught.value.__cause__)
    with pytest.raises(RuntimeError):  # it can be asked again
        list(one.epoch(0))


@pytest.mark.slow
def test_a_process_that_is_killed_is_told(loader: Any) -> None:
    one = loader(isolate=True)
    batches = one.epoch(0)
    next(batches)
    os.kill(pid_of(one), signal.SIGKILL)
    with pytest.raises(RuntimeError, match="has ended: SIGKILL: perhaps there was no more memory"):
        list(batches)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_that_is_asked_for_takes_no_images_away(number: int, own: Any, loader: Any) -> None:
    """Whoever trains ends the epoch when that is right; the process goes on until then, also where
    parts of one's own import Paddle, which catches signals.
    """
    own(f"Stop{number}", False, "import paddle")
    one = loader(isolate=True, patience=Patience(1.0))
    batches = one.epoch(0)
    found = [next(batches)]
    one.patience.gives_up = lambda: True
    isolated._readers[one]._send("give up", None)
    os.kill(pid_of(one), number)
    found += list(batches)
    assert [batch.number for batch in found] == [0, 1, 2, 3]


@pytest.mark.slow
def test_modules_come_from_where_the_other_process_looks(
    loader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit(1)")
    (tmp_path / "ppcls").mkdir()
    (tmp_path / "ppcls/__init__.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    assert len(list(loader(isolate=True).epoch(0))) == 4


@pytest.mark.slow
def test_what_cannot_be_sent_is_told(loader: Any, capfd: Any) -> None:
    one = loader(isolate=True)
    one.dataset.held = open(os.devnull)  # noqa: SIM115
    with pytest.raises(ConfigError, match="cannot be sent: cannot pickle '_io.TextIOWrapper'"):
        one.epoch(0)
    one.dataset.held.close()
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("way", ["patience ends", "stop is asked for", "closed"])
def test_an_outage_is_told_and_can_be_left(
    way: str, loader: Any, listed: Path, tmp_path: Path, caplog: Any
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for file in listed.iterdir():
        os.link(file, folder / file.name)
    patience = Patience(0.1 if way == "patience ends" else 60.0)
    one = loader(folder=folder, isolate=True, patience=patience, prefetch=1, num_workers=1)
    list(one.epoch(0))
    folder.rename(tmp_path / "away")
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, "ppcls"):
        if way == "closed":
            batches = one.epoch(1)
            batches.close()
            (tmp_path / "away").rename(folder)
            assert len(list(one.epoch(1))) == 4
        else:
            patience.gives_up = lambda: way == "stop is asked for"
            with pytest.raises(OutageError, match="cannot be reached any more"):
                list(one.epoch(1))
            assert any("trying again" in message for message in caplog.messages)
    assert time.monotonic() - began < 30


SCRIPT = """
import sys
from ppcls.data.dataset import ImageNetDataset
from ppcls.data.loader import DataLoader
from ppcls.data.sampler import DistributedBatchSampler
from ppcls.data.transforms import Transform

class Mine(Transform):
    def __call__(self, image, rng):
        return image

folder, mine = sys.argv[1], sys.argv[2] == "mine"
data = ImageNetDataset(folder, folder + "/list.txt", ["DecodeImage", *([Mine()] if mine else [])])
loader = DataLoader(data, DistributedBatchSampler(8, length=30), 2, isolate=True)
print(sum(len(batch) for batch in loader.epoch(0)))
"""


def run_script(listed: Path, tmp_path: Path, which: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(listed), which]
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    )


@pytest.mark.slow
def test_a_script_is_not_run_once_more(listed: Path, tmp_path: Path) -> None:
    done = run_script(listed, tmp_path, "plain")
    assert (done.stdout, done.returncode) == ("29\n", 0), done.stderr


@pytest.mark.slow
def test_classes_of_the_script_are_refused(listed: Path, tmp_path: Path) -> None:
    done = run_script(listed, tmp_path, "mine")
    assert done.returncode and "does not know Mine of the script" in done.stderr


def test_only_where_descriptors_can_be_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated.os, "name", "nt")
    with pytest.raises(ConfigError, match="leave it out"):
        isolated._refuse_other_systems()
