"""Where metrics go: lines, JSON, VisualDL and the picture."""

from __future__ import annotations

import errno
import importlib.util
import io
import json
import logging
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, TypeVar

import cv2
import pytest

from ppcls.config import load_config
from ppcls.engine.loggers import Logger, Loggers, Record, RunInfo, build_loggers
from ppcls.engine.loggers.console import Console, describe_briefly, format_metric
from ppcls.engine.loggers.curves import Curves
from ppcls.engine.loggers.jsonl import JsonLines, read_records
from ppcls.engine.run_folder import RunFolder
from ppcls.errors import ConfigError, TrainingError, UsageError
from ppcls.logs import log_to_file, log_to_terminal


def train_record(step: int, loss: float = 0.5) -> Dict[str, Any]:
    return {
        "event": "train",
        "epoch": 1,
        "step": step,
        "batch": step,
        "position": step / 10,
        "metrics": {"loss": loss, "top1": 0.25},
        "lr": 0.01,
        "images_per_second": 123.4,
        "data_wait": 0.05,
        "eta_seconds": 3725.0,
    }


def eval_record(step: int) -> Dict[str, Any]:
    metrics = {"loss": 0.4, "top1": 0.75}
    where = {"event": "eval", "epoch": 1, "step": step, "position": 1.0}
    return {**where, "metrics": metrics, "best": True}


T = TypeVar("T", bound=Logger)


def opened(logger: T, root: Path, keep: Callable[[Record], bool] = lambda record: True) -> T:
    """A logger that follows a run of three epochs with ten batches each."""
    logger.open(RunInfo(RunFolder(root), "LeNet", epochs=3, batches=10, keep=keep))
    return logger


def test_plain_lines_say_everything_a_person_asks(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    logging.getLogger("ppcls").propagate = True
    console = opened(Console(), tmp_path)
    with caplog.at_level(logging.INFO, logger="ppcls"):
        console.write(train_record(4))
        console.write(eval_record(10))
        console.close()
    assert caplog.messages == [
        "epoch 1/3 batch 4/10  loss 0.5000  top1 25.00%  lr 0.01  123 images/s  "
        "waiting for data 5%  ETA 1:02:05",
        "epoch 1/3  eval:  loss 0.4000  top1 75.00%  (best so far)",
    ]


def test_the_log_file_has_lines_where_the_terminal_has_a_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    log_to_terminal(results_on_stdout=False)
    console = opened(Console(), tmp_path)
    with log_to_file(tmp_path / "train.log"):
        console.advance(1, 0, dict)
        console.advance(1, 4, lambda: train_record(4))
        console.write(train_record(4))
        console.write(eval_record(10))
        console.close()
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line.split(" epoch ")[1].split("  ")[0] for line in lines] == ["1/3 batch 4/10", "1/3"]
    assert "batch 4/10" not in terminal.getvalue() and "0/10 00:00\r" in terminal.getvalue()
    assert "epoch 1/3  eval:  loss 0.4000" in terminal.getvalue()


def test_every_nth_epoch_and_the_last_are_on_the_terminal_and_all_are_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_terminal(results_on_stdout=False)
    console = opened(Console(interval=2), tmp_path)
    with log_to_file(tmp_path / "train.log"):
        for epoch in (1, 2, 3):
            console.write({**train_record(4), "epoch": epoch})
            console.write({**eval_record(10), "epoch": epoch})
    shown = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert shown == ["epoch 2/3", "epoch 3/3"]
    assert len((tmp_path / "train.log").read_text().splitlines()) == 6


def test_the_metrics_fit_a_terminal_of_80_columns() -> None:
    record = {**train_record(4, loss=12.345), "lr": 0.00123, "images_per_second": 1234.0}
    words = describe_briefly({**record, "data_wait": 0.15})
    assert words == "loss 12.345 top1 25.0% lr 0.0012 1234 img/s ETA 1:02:05 wait 15%"
    assert len(f"epoch 90/90  43% 12:34, {words}".partition(" wait")[0]) <= 80


def test_metrics_for_people() -> None:
    assert format_metric("top5", 0.98765) == "98.77%"
    assert format_metric("loss", 1.23456) == "1.2346"


@pytest.mark.parametrize("rest", ['{"event": "train", "st', '{"\u7cbe'])
def test_json_lines_survive_a_kill_and_are_cut_back(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "train_log.jsonl"
    logger = opened(JsonLines(), tmp_path)
    for step in range(1, 5):
        logger.write(train_record(step))
    logger.close()
    with path.open("ab") as file:
        file.write(rest.encode()[:-1])
    assert [record["step"] for record in read_records(path)] == [1, 2, 3, 4]
    again = opened(JsonLines(), tmp_path, keep=lambda record: record["step"] <= 2)
    again.write(train_record(3, loss=0.1))
    again.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["metrics"]["loss"]) for line in lines] == [
        (1, 0.5),
        (2, 0.5),
        (3, 0.1),
    ]


def test_an_older_log_is_read(tmp_path: Path) -> None:
    old = {"figures" if key == "metrics" else key: value for key, value in train_record(1).items()}
    (tmp_path / "train_log.jsonl").write_text(json.dumps(old) + "\n")
    logger = opened(JsonLines(), tmp_path)
    logger.write(train_record(2))
    logger.close()
    assert read_records(tmp_path / "train_log.jsonl") == [train_record(1), train_record(2)]


def test_no_picture_of_nothing(tmp_path: Path) -> None:
    opened(Curves(), tmp_path).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_picture_is_one(tmp_path: Path) -> None:
    logger = opened(Curves(), tmp_path)
    for step in range(1, 11):
        logger.write(train_record(step, loss=1 / step))
    logger.write(eval_record(10))
    logger.close()
    image = cv2.imread(str(tmp_path / "curves.png"))
    assert image is not None and image.shape[1] > 1000 and image.std() > 5


@pytest.mark.slow
def test_the_picture_of_a_resumed_run_is_that_of_the_whole(tmp_path: Path) -> None:
    def draw(name: str, steps: range, keep: Callable[[Record], bool]) -> bytes:
        folder = tmp_path / name / "run"
        folder.mkdir(parents=True, exist_ok=True)
        loggers = opened(Loggers([JsonLines(), Curves()]), folder, keep)
        for step in steps:
            loggers.write(train_record(step, loss=1 / step))
        loggers.close()
        return (folder / "curves.png").read_bytes()

    whole = draw("whole", range(1, 11), lambda record: True)
    assert draw("parts", range(1, 7), lambda record: True) != whole
    assert draw("parts", range(5, 11), lambda record: record["step"] < 5) == whole


def test_a_full_disk_at_the_end_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Last(Logger):
        closed = False

        def write(self, record: Record) -> None:
            pass

        def close(self) -> None:
            self.closed = True

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(logging.getLogger("ppcls"), "propagate", True)
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    last = Last()
    loggers = opened(Loggers([Curves(), last]), tmp_path)
    loggers.write(train_record(1))
    loggers.close()
    assert caplog.messages == [
        f"{tmp_path / 'curves.png'} is not up to date: No space left on device"
    ]
    assert last.closed


@pytest.fixture
def members(tmp_path: Path) -> Callable[[str], List[str]]:
    """The loggers of a configuration."""

    def build(text: str) -> List[str]:
        file = tmp_path / "recipe.yaml"
        file.write_text("Arch: {name: LeNet}\n" + text)
        config = load_config(str(file))
        loggers = build_loggers(config.Loggers, config.Global.use_visualdl)
        return [type(member).__name__ for member in loggers]

    return build


def test_a_configuration_names_its_loggers(
    members: Callable[[str], List[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "visualdl", SimpleNamespace(LogWriter=None))
    assert members("") == ["Console", "JsonLines", "Curves"]
    assert members("Loggers: [JsonLines, {Console: }]") == ["JsonLines", "Console"]
    assert members("Loggers: []") == []
    asked = "Global: {use_visualdl: True}\n"
    assert members(asked) == ["Console", "JsonLines", "Curves", "VisualDL"]
    assert members(asked + "Loggers: [VisualDL, Console]") == ["VisualDL", "Console"]
    with pytest.raises(ConfigError, match=r"Loggers.0.name: unknown logger 'Consle'. Did you mean"):
        members("Loggers: [Consle]")


@pytest.mark.parametrize("text", ["Global: {use_visualdl: True}", "Loggers: [VisualDL]"])
def test_a_missing_package_is_said(
    text: str, members: Callable[[str], List[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "visualdl", None)
    with pytest.raises(UsageError, match="package visualdl cannot be imported .*pip install"):
        members(text)


@pytest.mark.skipif(
    importlib.util.find_spec("visualdl") is None, reason="visualdl is not installed"
)
def test_visualdl_gets_every_metric(tmp_path: Path) -> None:
    from visualdl import LogReader

    from ppcls.engine.loggers.visualdl import VisualDL

    logger = opened(VisualDL(), tmp_path)
    logger.write(train_record(1))
    logger.write(eval_record(10))
    logger.close()
    file = next(tmp_path.glob("visualdl/*.log"))
    tags = LogReader(file_path=str(file)).tags()
    assert {"train/loss", "train/lr", "eval/top1"} <= {
        tag for group in tags.values() for tag in group
    }


@pytest.fixture
def calls_of_visualdl(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """What is handed over to a package that stands in for the real one."""
    calls: List[Any] = []

    class LogWriter:
        def __init__(self, logdir: str) -> None:
            calls.append(logdir)

        def add_scalar(self, *given: object) -> None:
            calls.append(given)

        def close(self) -> None:
            calls.append("closed")

    monkeypatch.setitem(sys.modules, "visualdl", SimpleNamespace(LogWriter=LogWriter))
    return calls


TO_VISUALDL = [
    ("train/loss", 0.5, 1),
    ("train/top1", 0.25, 1),
    ("train/lr", 0.01, 1),
    ("eval/loss", 0.4, 10),
    ("eval/top1", 0.75, 10),
]


def test_visualdl_is_given_every_metric(tmp_path: Path, calls_of_visualdl: List[Any]) -> None:
    from ppcls.engine.loggers.visualdl import VisualDL

    logger = opened(VisualDL(), tmp_path)
    logger.write(train_record(1))
    logger.write(eval_record(10))
    logger.close()
    assert calls_of_visualdl == [str(tmp_path / "visualdl"), *TO_VISUALDL, "closed"]


def test_visualdl_shows_nothing_twice_after_a_resume(
    tmp_path: Path, calls_of_visualdl: List[Any]
) -> None:
    from ppcls.engine.loggers.visualdl import VisualDL

    records = opened(JsonLines(), tmp_path)
    for record in (train_record(1), train_record(2)):
        records.write(record)
    records.close()
    (tmp_path / "visualdl").mkdir()
    earlier = tmp_path / "visualdl" / "vdlrecords.1.log"
    earlier.touch()
    run = RunInfo(RunFolder(tmp_path), "LeNet", 3, 10, lambda record: record["step"] < 2, step=1)
    logger = VisualDL()
    logger.open(run)
    logger.write(eval_record(10))
    assert calls_of_visualdl[1:] == TO_VISUALDL and not earlier.exists()


def events(file: Path) -> List[Any]:
    """The events of a TensorBoard file: records of length, checksum, content, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    data, found = file.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def points(folder: Path) -> List[Any]:
    """What TensorBoard shows of a folder: (name, step, value), points that were purged left out."""
    shown: List[Any] = []
    for file in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        for event in events(file):
            if event.HasField("session_log"):  # 1 is its START
                shown = [point for point in shown if point[1] < event.step]
            values = event.summary.value
            shown += [(one.tag, event.step, pytest.approx(one.simple_value)) for one in values]
    return shown


needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboardX") is None, reason="tensorboardX is not installed"
)


@needs_tensorboard
def test_tensorboard_gets_every_metric(tmp_path: Path) -> None:
    from ppcls.engine.loggers.tensorboard import TensorBoard

    logger = opened(TensorBoard(), tmp_path)
    logger.write(train_record(1))
    logger.write(eval_record(10))
    logger.close()
    assert points(tmp_path / "tensorboard") == [
        ("train/loss", 1, 0.5),
        ("train/top1", 1, 0.25),
        ("train/lr", 1, 0.01),
        ("eval/loss", 10, 0.4),
        ("eval/top1", 10, 0.75),
    ]


@needs_tensorboard
@pytest.mark.parametrize("repeats", [False, True])
def test_a_resumed_run_gives_tensorboard_no_point_twice(tmp_path: Path, repeats: bool) -> None:
    """Where a run goes on from the last batch of an epoch, it evaluates the epoch again."""
    from ppcls.engine.loggers.tensorboard import TensorBoard

    killed = opened(TensorBoard(), tmp_path)
    for step in (2, 4, 6):
        killed.write(train_record(step))
    killed.write(eval_record(4))
    killed.close()
    resumed = TensorBoard()
    keep: Callable[[Record], bool] = lambda record: not repeats or record["event"] == "train"  # noqa: E731
    resumed.open(RunInfo(RunFolder(tmp_path), "LeNet", 3, 10, keep, step=4))
    if repeats:
        resumed.write(eval_record(4))
    resumed.write(train_record(6))
    resumed.close()
    losses = [point[:2] for point in points(tmp_path / "tensorboard") if "loss" in point[0]]
    assert len(losses) == len(set(losses))
    assert {("train/loss", 2), ("eval/loss", 4), ("train/loss", 6)} <= set(losses)


@pytest.mark.parametrize(
    ("logger", "package"), [("TensorBoard", "tensorboardX"), ("WandB", "wandb")]
)
def test_a_missing_package_names_its_extra(
    logger: str,
    package: str,
    members: Callable[[str], List[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    extra = rf"{package} cannot be imported .*pip install 'ppcls\[{logger.lower()}\]'"
    with pytest.raises(UsageError, match=extra):
        members(f"Loggers: [{logger}]")


def test_weights_and_biases_asks_for_a_login(
    members: Callable[[str], List[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    package = SimpleNamespace(api=SimpleNamespace(api_key=None))
    monkeypatch.setitem(sys.modules, "wandb", package)
    with pytest.raises(UsageError, match="Run `wandb login`, or .*mode: offline"):
        members("Loggers: [WandB]")
    assert members("Loggers: [{WandB: {mode: offline}}]") == ["WandB"]


class FakeWandB:
    """Stands in for the package wandb: keeps what each run was begun with, and sent."""

    api = SimpleNamespace(api_key="key")
    Settings = dict

    def __init__(self) -> None:
        self.runs: List[Dict[str, Any]] = []

    def init(self, **options: Any) -> SimpleNamespace:
        run = {"options": options, "sent": [], "finished": False}
        self.runs.append(run)
        return SimpleNamespace(
            log=lambda values, step: run["sent"].append((step, values)),
            finish=lambda: run.update(finished=True),
        )


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandB:
    """The package that `import wandb` finds."""
    package = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", package)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return package


def test_weights_and_biases_goes_on_with_the_run_that_is_there(
    tmp_path: Path, wandb: FakeWandB
) -> None:
    from ppcls.engine.loggers.wandb import WandB

    (tmp_path / "config.yaml").write_text("Arch: {name: LeNet}\n")
    for step in (1, 2):
        logger = opened(WandB(project="birds"), tmp_path)
        logger.write(train_record(step))
        logger.close()
    first, second = wandb.runs
    assert first["options"] == second["options"]
    options = first["options"]
    assert (options["project"], options["name"]) == ("birds", tmp_path.name)
    assert (options["mode"], options["resume"]) == ("online", "allow")
    assert options["config"] == {"Arch": {"name": "LeNet"}} and options["dir"] == str(tmp_path)
    metrics = {"train/loss": 0.5, "train/top1": 0.25, "train/lr": 0.01}
    assert [run["sent"] for run in wandb.runs] == [[(1, metrics)], [(2, metrics)]]
    assert first["finished"] and second["finished"]
    opened(WandB(name="owls"), tmp_path / "other")
    other = wandb.runs[-1]["options"]
    assert other["id"] != options["id"] and (other["name"], other["config"]) == ("owls", {})


def test_weights_and_biases_replaces_the_parts_of_a_resumed_run_on_disk(
    tmp_path: Path, wandb: FakeWandB
) -> None:
    """Each part would be sent as if it were the whole run."""
    from ppcls.engine.loggers.wandb import WandB

    logger = opened(Loggers([WandB(mode="offline"), JsonLines()]), tmp_path)
    for step in (1, 2, 3):
        logger.write(train_record(step))
    logger.close()
    number = wandb.runs[0]["options"]["id"]
    for name in (f"offline-run-1-{number}", "offline-run-1-others"):
        (tmp_path / "wandb" / name).mkdir()
    again = opened(WandB(mode="offline"), tmp_path, keep=lambda record: record["step"] < 3)
    again.write(train_record(3))
    first, second = wandb.runs
    assert second["options"]["id"] == number and second["options"]["resume"] is None
    assert [step for step, _ in second["sent"]] == [1, 2, 3]
    assert second["sent"] == first["sent"]
    left = sorted(path.name for path in (tmp_path / "wandb").iterdir() if path.is_dir())
    assert left == ["offline-run-1-others"]


def test_lines_that_cannot_be_written_end_a_run_with_what_to_do(tmp_path: Path) -> None:
    def fail(text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    logger = opened(JsonLines(), tmp_path)
    logger.close()
    logger._file = SimpleNamespace(name="train_log.jsonl", write=fail)  # type: ignore[assignment]
    words = "cannot write train_log.jsonl: No space left on device.*--resume auto"
    with pytest.raises(TrainingError, match=words):
        logger.write(train_record(1))


def history(file: Path) -> List[Dict[str, Any]]:
    """The rows of metrics in a file of wandb: its head, then records of checksum, length, kind,
    content.
    """
    from wandb.proto.wandb_internal_pb2 import Record as Message

    data, found = file.read_bytes()[7:], []
    while data:
        length = int.from_bytes(data[4:6], "little")
        message = Message.FromString(data[7 : 7 + length])
        items = message.history.item
        row = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in items}
        found += [row] if row else []
        data = data[7 + length :]
    return found


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_weights_and_biases_gets_every_metric_once(tmp_path: Path) -> None:
    from ppcls.engine.loggers.wandb import WandB

    (tmp_path / "config.yaml").write_text("Arch: {name: LeNet}\n")

    def go(steps: range, keep: Callable[[Record], bool]) -> None:
        loggers = opened(Loggers([WandB(mode="offline"), JsonLines()]), tmp_path, keep)
        for step in steps:
            loggers.write(train_record(step))
        loggers.write(eval_record(steps[-1]))
        loggers.close()

    go(range(1, 5), lambda record: True)
    time.sleep(1.1)  # wandb names its folders by the second
    go(range(3, 7), lambda record: record["step"] < 3)
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    rows = history(file)
    assert [row["_step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {row["train/loss"] for row in rows} == {0.5}
    assert [row.get("eval/top1") for row in rows] == [None] * 5 + [0.75]


class Breaking(Logger):
    """One of a user's own, with a mistake."""

    def write(self, record: Record) -> None:
        raise KeyError("top_1")


class Noting(Logger):
    def __init__(self) -> None:
        self.steps: List[int] = []

    def write(self, record: Record) -> None:
        self.steps.append(record["step"])


def test_a_logger_of_ones_own_that_fails_loses_no_run(caplog: Any) -> None:
    noting = Noting()
    loggers = Loggers([Breaking(), noting])
    for step in (1, 2):
        loggers.write(train_record(step))
    assert noting.steps == [1, 2] and loggers.members == [noting]
    (said,) = caplog.messages
    assert said.startswith("the logger Breaking fails, and is left out from now on:\n")
    assert said.endswith("KeyError: 'top_1'") and "test_loggers.py" in said


def test_one_that_cannot_close_or_open_leaves_the_others_alone(caplog: Any) -> None:
    class Closing(Noting):
        def close(self) -> None:
            raise ValueError("already closed")

    class Closed(Noting):
        closed = False

        def close(self) -> None:
            self.closed = True

    class Opening(Noting):
        def open(self, run: RunInfo) -> None:
            raise ValueError("no such thing")

    last = Closed()
    loggers = Loggers([Opening(), Closing(), last])
    loggers.open(SimpleNamespace())  # type: ignore[arg-type]
    loggers.close()
    assert last.closed and loggers.members == [last]
    assert [message.split(" fails")[0] for message in caplog.messages] == [
        "the logger Opening",
        "the logger Closing",
    ]


def test_one_of_ours_that_fails_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        Loggers([JsonLines()]).write(train_record(1))  # it was not opened


def test_nobody_is_told_that_the_reader_of_the_lines_has_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    log_to_terminal(results_on_stdout=False)
    monkeypatch.setattr(sys, "stdout", Gone())
    logging.getLogger("ppcls").info("a line")
    monkeypatch.undo()
    assert capsys.readouterr().err == ""
