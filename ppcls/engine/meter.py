"""Running metrics of training: sums stay on the device and are read only when they are shown."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, Generator, Iterator, Tuple, TypeVar

import paddle

from ppcls.engine.share import Share
from ppcls.engine.world import World
from ppcls.loss.outputs import Outputs, main_logits
from ppcls.metric import CombinedMetric

T = TypeVar("T")

_ALONE = World()


class Meter:
    """Loss and metrics of the epoch so far over all processes, and speed since the last look."""

    def __init__(self, metrics: CombinedMetric, world: World) -> None:
        self.metrics, self.world = metrics, world
        self.begin_epoch({})

    def begin_epoch(self, running: Dict[str, float]) -> None:
        """Start an epoch, or go on within one from what `state` returned."""
        # The sums are those of all processes: one of them takes them over.
        rest = dict(running) if self.world.is_main else {}
        self._epoch = Mean(rest.pop("loss_sum", 0.0), int(rest.pop("images", 0)))
        self.metrics.reset()
        if rest:
            self.metrics.load_state(rest)
        self._open_window()

    def state(self) -> Dict[str, float]:
        """Return the epoch's sums over all processes as plain numbers."""
        loss_sum, images = self._epoch.read(self.world)
        metrics = {key: self.world.sum(value) for key, value in self.metrics.state().items()}
        return {"loss_sum": loss_sum, "images": float(images), **metrics}

    def timed(self, batches: Generator[T, None, None]) -> Iterator[T]:
        """Yield `batches`, taking note of how long each was waited for."""
        with contextlib.closing(batches):
            while True:
                began = time.perf_counter()
                batch = next(batches, None)
                self._waited += time.perf_counter() - began
                if batch is None:
                    return
                self._batches += 1
                yield batch

    @paddle.no_grad()
    def add(self, loss: paddle.Tensor, outputs: Outputs, share: Share) -> None:
        """Take in one batch; nothing is copied to the host."""
        if share.count:
            weighted = loss.detach().astype("float64") * share.count
            self._window.add(weighted, share.count)
            self._epoch.add(weighted, share.count)
            self.metrics.update(main_logits(outputs).detach(), share.labels)

    def window_loss(self) -> float:
        """Return the mean loss since the last look; the host waits for the device here."""
        return self._window.mean(self.world)

    def read_window(self, batches_left: int) -> Dict[str, Any]:
        """Return what is shown of the batches since the last look, and begin a new window; nothing
        is shown, and the window goes on, where no image could be read.
        """
        shown = self._look(self.world, batches_left)
        if shown:
            self._open_window()
        return shown

    def glance(self, batches_left: int) -> Dict[str, Any]:
        """Return the same as this process alone sees it, and let the window go on."""
        return self._look(_ALONE, batches_left)

    def _look(self, world: World, batches_left: int) -> Dict[str, Any]:
        seconds = max(time.perf_counter() - self._began, 1e-9)
        loss_sum, images = self._window.read(world)
        if not images:
            return {}
        return {
            "metrics": {"loss": loss_sum / images, **world.compute(self.metrics)},
            "images_per_second": images / seconds,
            "data_wait": min(1.0, self._waited / seconds),
            "eta_seconds": seconds / max(1, self._batches) * batches_left,
        }

    def epoch_metrics(self) -> Dict[str, float]:
        """Return mean loss and metrics of the whole epoch; empty when no image could be read."""
        loss_sum, images = self._epoch.read(self.world)
        if not images:
            return {}
        return {"loss": loss_sum / images, **self.world.compute(self.metrics)}

    def _open_window(self) -> None:
        self._window = Mean()
        self._began, self._waited, self._batches = time.perf_counter(), 0.0, 0


class Mean:
    """A mean whose sum stays on the device until it is read."""

    def __init__(self, total: float = 0.0, images: int = 0) -> None:
        # A tensor from the start: Paddle 2.6 adds Python numbers to tensors in float32.
        self.total = paddle.full([], total, dtype="float64")
        self.images = images

    def add(self, weighted: paddle.Tensor, count: int) -> None:
        """Take in a mean over `count` images times their number, a float64 scalar."""
        self.total = self.total + weighted.reshape([])
        self.images += count

    def read(self, world: World) -> Tuple[float, int]:
        """Return the sum and the number of images of all processes."""
        return world.sum(float(self.total.item())), world.sum(self.images)

    def mean(self, world: World) -> float:
        """Return the mean over the images of all processes; 0 without any."""
        total, images = self.read(world)
        return total / images if images else 0.0
