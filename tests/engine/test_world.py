"""Several processes as one: a world of two, which compute one after the other between the places
where they meet, must end where one process with the joined batches ends.
"""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, TypeVar

import numpy as np
import paddle
import pytest

from ppcls import runtime
from ppcls.config import as_config
from ppcls.data.batch import Batch
from ppcls.engine.builder import build_job
from ppcls.engine.checkpoint import Checkpoint, TrainState
from ppcls.engine.interrupt import Interrupted, StopRequest
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.share import on_device
from ppcls.engine.trainer import Trainer
from ppcls.engine.world import World
from ppcls.errors import DataError, TrainingError
from ppcls.labels import LabelKind, Labels

T = TypeVar("T")
Recipe = Dict[str, Any]
SECONDS = 120


class Meeting:
    """Where the members of a world lay down what they gather."""

    def __init__(self, size: int) -> None:
        self.slots: List[Any] = [None] * size
        self.barrier = threading.Barrier(size, timeout=SECONDS)


class Member(World):
    """One of two processes, here a thread."""

    size = 2

    def __init__(self, rank: int, meeting: Meeting) -> None:
        self.rank, self.meeting = rank, meeting

    def gather(self, value: T) -> List[T]:
        self.meeting.slots[self.rank] = value
        self.meeting.barrier.wait()
        found = list(self.meeting.slots)
        self.meeting.barrier.wait()
        return found

    def sum_gradients(self, network: paddle.nn.Layer) -> None:
        for parameter in network.parameters():
            if not parameter.stop_gradient:
                parameter.grad.set_value(sum(self.gather(parameter.grad.numpy())))


class Rank:
    """A trainer in a thread of its own, and what it ended with."""

    def __init__(self, recipe: Recipe, folder: Path, world: World) -> None:
        with RunFolder(folder).claim(resume=False, overwrite=False):
            pass  # makes the folder
        config = as_config(recipe)
        stop = StopRequest()
        self.trainer = Trainer(build_job(config, "cpu", world), RunFolder(folder), stop, world)
        self.error: Optional[BaseException] = None

    def fit(self) -> None:
        try:
            self.trainer.fit()
        except BaseException as error:
            self.error = error

    def weights(self) -> Dict[str, np.ndarray]:
        network = self.trainer.job.network
        return {name: value.numpy() for name, value in network.state_dict().items()}

    def checkpoints(self) -> List[str]:
        return [path.name for path in self.trainer.checkpoints.paths()]


def alone(recipe: Recipe, tmp_path: Path) -> Rank:
    rank = Rank(recipe, tmp_path / "alone", World())
    rank.fit()
    return rank


def halved(recipe: Recipe) -> Recipe:
    """The recipe for one of two processes, which see its batches together."""
    recipe = copy.deepcopy(recipe)
    for split in recipe["DataLoader"].values():
        split["sampler"]["batch_size"] //= 2
    return recipe


def together(
    recipe: Recipe, tmp_path: Path, prepare: Callable[[Rank], None] = lambda rank: None
) -> List[Rank]:
    """Train by two processes with half the batch size each; `prepare` may change each before."""
    meeting = Meeting(2)
    members = [Member(number, meeting) for number in range(2)]
    ranks = [Rank(halved(recipe), tmp_path / f"rank{m.rank}", m) for m in members]
    for rank in ranks:
        prepare(rank)
    threads = [threading.Thread(target=rank.fit) for rank in ranks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    return ranks


def assert_close(ours: Dict[str, np.ndarray], theirs: Dict[str, np.ndarray]) -> None:
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, rtol=0, atol=2e-6, err_msg=name)


@pytest.mark.slow
def test_two_processes_train_what_one_does(recipe: Recipe, tmp_path: Path) -> None:
    recipe["EMA"] = {"decay": 0.9}
    one, (first, second) = alone(recipe, tmp_path), together(recipe, tmp_path)
    assert first.error is None and second.error is None
    assert_close(first.weights(), one.weights())
    assert all(np.array_equal(second.weights()[k], first.weights()[k]) for k in first.weights())
    assert first.trainer.state == second.trainer.state
    assert first.trainer.state.best_value == one.trainer.state.best_value
    assert first.checkpoints() == one.checkpoints() and second.checkpoints() == []
    assert first.trainer.folder.best_model.exists()
    assert not second.trainer.folder.best_model.exists()


@pytest.mark.slow
def test_a_checkpoint_within_an_epoch_holds_the_sums_of_both(
    recipe: Recipe, tmp_path: Path
) -> None:
    recipe["Global"].update(save_steps=3, keep_checkpoints=9)
    states: List[TrainState] = []

    def note(rank: Rank) -> None:
        original = rank.trainer.checkpoints.save

        def save(checkpoint: Checkpoint) -> Path:
            states.append(copy.deepcopy(checkpoint.state))
            return original(checkpoint)

        rank.trainer.checkpoints.save = save  # type: ignore[method-assign]

    together(recipe, tmp_path, note)
    within = next(state for state in states if state.step == 3)
    assert within.running["images"] == within.running["0.count"] == 48


@pytest.mark.slow
def test_an_empty_share_takes_part(recipe: Recipe, tmp_path: Path) -> None:
    """65 images in steps of 2 x 8: the last step has one image, which is the first process's."""
    lines = Path(recipe["DataLoader"]["Train"]["dataset"]["cls_label_path"])
    fewer = tmp_path / "fewer.txt"
    fewer.write_text("\n".join(lines.read_text().splitlines()[:65]) + "\n")
    recipe["DataLoader"]["Train"]["dataset"]["cls_label_path"] = str(fewer)
    # With 0, two values under a max pooling are so close that rounding decides which is larger.
    recipe["Global"]["seed"] = 1
    one, (first, second) = alone(recipe, tmp_path), together(recipe, tmp_path)
    assert len(second.trainer.job.train.sampler.batches(0)[-1]) == 0
    assert first.error is None and second.error is None
    assert_close(first.weights(), one.weights())
    assert_close(second.weights(), one.weights())


def test_a_stand_in_leaves_no_trace(tmp_path: Path) -> None:
    network = paddle.nn.Sequential(paddle.nn.Conv2D(1, 2, 3), paddle.nn.BatchNorm2D(2))
    before = {name: value.numpy() for name, value in network.state_dict().items()}
    images, none = np.empty((0, 1, 8, 8), np.float32), np.empty(0, np.int64)
    batch = Batch(images, Labels(LabelKind.HARD, none), none, number=0)
    with on_device(batch, network) as share:
        share.scaled(network(share.images).mean(), total=4, batches=1).backward()
    assert share.count == 0
    assert all(not weight.grad.numpy().any() for weight in network.parameters() if weight.trainable)
    after = network.state_dict()
    assert all(np.array_equal(after[name].numpy(), array) for name, array in before.items())


def test_nan_on_one_process_ends_both(recipe: Recipe, tmp_path: Path) -> None:
    def spoil(rank: Rank) -> None:
        if rank.trainer.world.rank == 1:
            add = rank.trainer.meter.add
            rank.trainer.meter.add = lambda loss, *rest: add(loss * float("nan"), *rest)  # type: ignore[method-assign]

    ranks = together(recipe, tmp_path, spoil)
    for rank in ranks:
        assert isinstance(rank.error, TrainingError)
        assert "the loss became NaN or Inf between steps 0 and 2" in str(rank.error)


def test_a_stop_request_on_one_process_ends_both_after_saving(
    recipe: Recipe, tmp_path: Path
) -> None:
    def ask(rank: Rank) -> None:
        if rank.trainer.world.rank == 1:
            rank.trainer.stop.number = 15

    first, second = together(recipe, tmp_path, ask)
    assert isinstance(first.error, Interrupted) and isinstance(second.error, Interrupted)
    assert first.error.exit_status == second.error.exit_status == 143
    assert first.checkpoints() == ["step_00000001.safetensors"]


def test_bad_images_of_both_are_counted(recipe: Recipe, tmp_path: Path) -> None:
    dataset = recipe["DataLoader"]["Train"]["dataset"]
    lines = Path(dataset["cls_label_path"]).read_text().splitlines()
    dataset["cls_label_path"] = str(tmp_path / "spoilt.txt")
    spoilt = [f"missing{i} 0" for i in (0, 1, 2)] + lines[3:]
    (tmp_path / "spoilt.txt").write_text("\n".join(spoilt) + "\n")
    recipe["Global"]["max_bad_samples"] = 0.03
    for rank in together(recipe, tmp_path):
        assert isinstance(rank.error, DataError)
        assert "3 of 80 training images could not be read" in str(rank.error)


def test_an_error_of_the_main_process_is_everybodys(recipe: Recipe, tmp_path: Path) -> None:
    def block(rank: Rank) -> None:
        if rank.trainer.world.is_main:
            rank.trainer.folder.best_model.mkdir()

    errors = [rank.error for rank in together(recipe, tmp_path, block)]
    assert "cannot write" in str(errors[0]) and str(errors[1]) == str(errors[0])


def test_no_process_waits_where_the_system_stops_the_main_one() -> None:
    meeting, errors = Meeting(2), {}
    meeting.barrier = threading.Barrier(2, timeout=5)

    def full(rank: int) -> None:
        try:
            Member(rank, meeting).on_main(lambda: Path("/proc/no such folder/a").write_text(""))
        except Exception as error:
            errors[rank] = error

    threads = [threading.Thread(target=full, args=[rank]) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert isinstance(errors[0], OSError) and errors[1] is errors[0]


def test_processes_draw_other_random_numbers_and_the_first_those_of_one() -> None:
    def draw(*position: int) -> List[float]:
        runtime.seed_step(*position)
        return paddle.rand([4]).tolist()  # type: ignore[no-any-return]

    assert draw(3, 7) == draw(3, 7, 0) != draw(3, 7, 1)


@pytest.mark.parametrize("value", [2, 0.5, [1, 2]])
def test_one_process_is_the_identity(value: Any) -> None:
    world = World()
    assert world.is_main and world.size == 1
    assert world.sum(value) == value and world.gather(value) == [value]
    assert world.any(True) and not world.any(False)
    world.barrier()
