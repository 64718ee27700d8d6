"""Which batch sizes fit and are fast, from made measurements and one real one."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest

from ppcls.benchmark.own_process import Ended
from ppcls.benchmark.training.batch_size import (
    Measure,
    SizeSearch,
    Tried,
    find_batch_size,
    judged_trial,
    tried_sizes,
)
from ppcls.benchmark.training.batch_trial import measure_batches
from ppcls.benchmark.training.results import BatchTrial
from ppcls.config import as_config
from ppcls.errors import ConfigError, PpclsError

GIB = 2**30


def trial(speed: float, memory: float = 1.0, images: int = 1000, **more: Any) -> BatchTrial:
    """What a batch of 16 came to: images per second, and GiB."""
    size = int(memory * GIB)
    return BatchTrial(
        images_per_second=speed, step=16 / speed, peak_memory=size, images=images, **more
    )


def measuring(speeds: Dict[int, Optional[float]], images: int = 1000) -> Measure:
    """Stands for a machine whose memory runs out where there is no speed."""

    def measure(size: int) -> Tried:
        speed = speeds[size]
        if speed is None:
            return Tried(size, None, "out of memory", True)
        return Tried(size, trial(speed, images=images))

    return measure


SPEEDS: Dict[int, Optional[float]] = {1: 20.0, 2: 35.0, 4: 60.0, 8: 94.9, 16: 95.0, 32: 100.0}


def search(recipe: Dict[str, Any], measure: Measure) -> SizeSearch:
    return find_batch_size("recipe.yaml", [], [], as_config(recipe), measure)


def test_it_ends_where_memory_runs_out(recipe: Dict[str, Any]) -> None:
    found = search(recipe, measuring({**SPEEDS, 64: None}))
    assert [one.size for one in found.tried] == [1, 2, 4, 8, 16, 32, 64]
    # 5 % below the best is 95 images/s.
    assert (found.largest, found.fast, found.current) == (32, 16, 16)
    lines = found.summary().splitlines()
    assert lines[0].split("  ")[-1] == "peak memory [GiB]"
    assert lines[6].split() == ["32", "100.0", "0.16", "1.00"]
    assert lines[7].split() == ["64", "-", "-", "-", "out", "of", "memory"]
    text = found.summary()
    assert "memory runs out at 64; the largest that fits is 32, and 16 is the smallest" in text
    assert "The recipe's is 16" in text and "arXiv:1706.02677" in text
    # The recipe has 16 images and 0.05.
    key = "DataLoader.Train.sampler.batch_size"
    assert f"  -o {key}=16 -o Optimizer.lr.learning_rate=0.05\n" in text
    assert f"  -o {key}=32 -o Optimizer.lr.learning_rate=0.1\n" in text
    assert "a higher rate may need a warm-up: warmup_epoch: 5 in Optimizer.lr" in text
    assert "found with SGD;" not in text


@pytest.mark.parametrize(("images", "last"), [(32, 32), (63, 32), (31, 16), (1, 1)])
def test_it_ends_where_there_are_no_more_images(
    recipe: Dict[str, Any], images: int, last: int
) -> None:
    found = search(recipe, measuring(SPEEDS, images))
    assert found.largest == last == found.tried[-1].size
    assert f"the training set has {images} images, too few for more" in found.summary()


def test_what_to_copy_is_accepted(recipe: Dict[str, Any]) -> None:
    recipe["Optimizer"] = {
        "name": "AdamW",
        "lr": {
            "name": "Piecewise", "decay_epochs": [1], "values": [0.1, 0.01], "warmup_epoch": 1,
        },
    }  # fmt: skip
    recipe["DataLoader"]["Train"]["sampler"] = {"BatchSampler": {"batch_size": 64}}
    text = search(recipe, measuring({**SPEEDS, 64: None})).summary()
    options = re.findall(r"-o (\S+)", text)
    assert options == [
        "DataLoader.Train.sampler.BatchSampler.batch_size=16",
        "Optimizer.lr.values=[0.025,0.0025]",
        "DataLoader.Train.sampler.BatchSampler.batch_size=32",
        "Optimizer.lr.values=[0.05,0.005]",
    ]
    assert "found with SGD; AdamW may want less of a change: --find-lr" in text
    assert "warm-up" not in text


def test_one_image_alone_may_fail() -> None:
    def measure(size: int) -> Tried:
        return Tried(1, None, "Mixup wants two") if size == 1 else Tried(size, trial(5, images=4))

    assert [one.size for one in tried_sizes(measure) if one.found] == [2, 4]


def test_another_failure_ends_the_search_with_its_reason(recipe: Dict[str, Any]) -> None:
    def measure(size: int) -> Tried:
        return Tried(size, trial(5.0)) if size < 4 else Tried(size, None, "no such operator")

    found = search(recipe, measure)
    assert [one.size for one in found.tried] == [1, 2, 4] and found.largest == 2
    assert "a batch of 4 cannot be trained (no such operator)" in found.summary()


def test_nothing_that_can_be_trained_is_an_error() -> None:
    with pytest.raises(PpclsError, match="batches of 1 take too much memory already: out of mem"):
        tried_sizes(measuring({1: None}))
    tried: List[int] = []

    def fails(size: int) -> Tried:
        tried.append(size)
        return Tried(size, None, "there is no folder digits")

    with pytest.raises(PpclsError, match="no batch size can be trained: there is no folder digits"):
        tried_sizes(fails)
    assert tried == [1, 2]


def test_a_recipe_without_images_is_refused(recipe: Dict[str, Any]) -> None:
    del recipe["DataLoader"]["Train"]
    with pytest.raises(ConfigError, match=r"missing section\(s\) DataLoader.Train"):
        search(recipe, measuring(SPEEDS))


@pytest.mark.parametrize(
    ("ended", "said", "failure"),
    [
        (Ended(-signal.SIGKILL, True), "", "more than 90% of the memory, 2.00 GiB"),
        (Ended(-signal.SIGKILL, False), "", "ended by the system, as memory ran out"),
        (Ended(137, False), "", "ended by the system, as memory ran out"),
        (Ended(1, False), "Traceback\n  ...\nMemoryError\n", "out of memory"),
        (Ended(-signal.SIGABRT, False), "terminate: 'std::bad_alloc'", "out of memory"),
        (Ended(1, False), "ResourceExhaustedError: \nout of memory on GPU 0", "out of memory"),
        (Ended(1, False), "OSError: [Errno 12] Cannot allocate memory", "out of memory"),
    ],
)
def test_how_memory_runs_out(ended: Ended, said: str, failure: str) -> None:
    assert judged_trial(8, ended, said, None, 2.0 * GIB) == Tried(8, None, failure, True)


def test_other_ends() -> None:
    said = "warning: something\nerror: recipe.yaml:3: Global: unknown key\n\n"
    assert judged_trial(8, Ended(2, False), said, None, None) == Tried(
        8, None, "recipe.yaml:3: Global: unknown key"
    )
    assert judged_trial(8, Ended(5, False), "", None, None) == Tried(8, None, "it says nothing")


def test_more_than_nine_tenths_do_not_fit() -> None:
    done = Ended(0, False)
    assert judged_trial(8, done, "", trial(5, memory=2.0), 2.0 * GIB).found
    assert judged_trial(8, done, "", trial(5, memory=2.1), None).found
    assert judged_trial(8, done, "", trial(5, memory=2.1), 2.0 * GIB) == Tried(
        8, None, "more than 90% of the memory, 2.00 GiB", True
    )
    # A GPU has its own: nine of ten GiB.
    on_gpu = [trial(5, memory=memory, device_memory=10 * GIB) for memory in (8.9, 9.1)]
    assert judged_trial(8, done, "", on_gpu[0], 2.0 * GIB).found
    assert judged_trial(8, done, "", on_gpu[1], None).is_memory


@pytest.mark.slow
def test_a_trial_trains_a_few_steps_and_writes_nothing(
    recipe: Dict[str, Any], tmp_path: Path
) -> None:
    recipe["DataLoader"]["Train"]["sampler"]["batch_size"] = 4
    recipe["Optimizer"]["lr"]["learning_rate"] = 1e9  # of no use for so small batches
    found = measure_batches(as_config(recipe), seconds=0.2)
    assert found.images == 80 and found.device_memory is None
    assert 2**26 < found.peak_memory < 2**36
    assert found.step > 0 and found.images_per_second > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_recipe_is_tried_and_its_run_not_touched(
    recipe: Dict[str, Any],
    digits: Path,
    tmp_path: Path,
    ppcls: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three of the images: batches of 1 and 2, in processes of their own."""
    lines = (digits / "train.txt").read_text().splitlines(keepends=True)
    (tmp_path / "three.txt").write_text("".join([lines[0], lines[20], lines[79]]))
    recipe["DataLoader"]["Train"]["dataset"]["cls_label_path"] = str(tmp_path / "three.txt")
    options = ["-o", "Optimizer.lr.learning_rate=0.08"]
    assert ppcls("train", recipe, "--find-batch-size", *options) == 0
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines()[1:3]]
    assert [row[0] for row in rows] == ["1", "2"]
    for _, speed, step, memory in rows:
        assert float(speed) > 0 and float(step) > 0 and 0.05 < float(memory) < 50
    assert "the training set has 3 images, too few for more; the largest that fits is 2" in text
    # 2 of the recipe's 16 images, and 2 / 16 of the rate that -o gives.
    line = "-o DataLoader.Train.sampler.batch_size=2 -o Optimizer.lr.learning_rate=0.01"
    assert line in text
    assert not Path(recipe["Global"]["output_dir"]).exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dry-run"], "one at a time"),
        (["--find-lr"], "--dry-run, --find-lr or --find-batch-size, one at a time"),
        (["--resume", "auto"], "--find-batch-size tries batch sizes from the weights"),
        (["--overwrite"], "touches no run; leave --resume and --overwrite out"),
    ],
)
def test_what_does_not_go_together(
    recipe: Dict[str, Any],
    ppcls: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    options: List[str],
    words: str,
) -> None:
    assert ppcls("train", recipe, "--find-batch-size", *options) == 2
    assert words in capsys.readouterr().err
