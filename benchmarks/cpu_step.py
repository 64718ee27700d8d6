"""How many images a second a training step on a CPU takes: Paddle's own operators, those of
`ppcls.kernels`, and PyTorch where there is one; in bfloat16 where the processor has it, PyTorch's
autocast with channels last.

    python benchmarks/cpu_step.py
    python benchmarks/cpu_step.py --cases EfficientNetLite0:32:128:frozen --torch PYTHON

`--compile` adds PyTorch's `torch.compile`, in channels last, which needs a C++ compiler.
`--evaluation` measures the answers of a network that is not trained, as in evaluation and for
features, beside ONNX Runtime's.

A case is NETWORK:BATCH:SIDE, with `:frozen` where batch normalisation keeps its statistics. A step
is forward, backward and AdamW on random images. PYTHON is the interpreter of an environment with
torch, timm and torchvision; without it, this one is asked. Each subject runs in a process of its
own, and they take turns, so that what else the machine does meets all of them. The table has the
median over the rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Sequence

SUBJECTS = (
    "paddle",
    "ppcls",
    "ppcls, bfloat16",
    "torch",
    "torch, channels last",
    "torch, bfloat16",
)
COMPILED = ("torch, compiled", "torch, compiled, bfloat16")
"""Those of `--compile`."""
EVALUATED = ("paddle", "ppcls", "onnxruntime")
"""Those of `--evaluation`."""
CASES = "EfficientNetLite0:32:128:frozen,MobileNetV2:8:224,ResNet50:8:224,SqueezeNet1_1:8:224"
TORCH_NAMES = {
    "DarkNet53": "timm:darknet53",
    "DenseNet121": "timm:densenet121",
    "EfficientNetB0": "timm:efficientnet_b0",
    "EfficientNetLite0": "timm:tf_efficientnet_lite0",
    "GoogLeNet": "torchvision:googlenet",
    "MobileNetV1": "timm:mobilenetv1_100",
    "MobileNetV2": "timm:mobilenetv2_100",
    "MobileNetV3_large_x1_0": "timm:mobilenetv3_large_100",
    "ResNet18": "timm:resnet18",
    "ResNet50": "timm:resnet50",
    "ShuffleNetV2_x1_0": "torchvision:shufflenet_v2_x1_0",
    "SqueezeNet1_1": "torchvision:squeezenet1_1",
    "VGG16": "torchvision:vgg16",
}
"""The same networks there."""

CLASSES = 10


class Case(NamedTuple):
    """A network, and what a step is given."""

    network: str
    batch: int
    side: int
    frozen: bool

    @classmethod
    def of(cls, text: str) -> Case:
        """Return the case that a part of `--cases` says."""
        name, batch, side, *more = text.split(":")
        return cls(name, int(batch), int(side), more == ["frozen"])


def main() -> None:
    """Run what the command line asks for."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.evaluation and (arguments.torch or arguments.compile):
        parser.error("--evaluation has no PyTorch beside it; leave --torch and --compile out")
    if arguments.worker:
        work(arguments.worker, Case.of(arguments.cases), arguments.evaluation)
        return
    interpreter = arguments.torch or (sys.executable if importlib.util.find_spec("torch") else None)
    trained = (*SUBJECTS, *(COMPILED if arguments.compile else ()))
    interpreters = {
        name: interpreter if name.startswith("torch") else sys.executable
        for name in (EVALUATED if arguments.evaluation else trained)
    }
    without = arguments.without.split(";")
    for name in list(interpreters):
        lacks = "bfloat16" in name and not multiplies_bfloat16()
        if lacks or interpreters[name] is None or name.startswith("torch") and name in without:
            del interpreters[name]
    other = "onnxruntime" if arguments.evaluation else "paddle"
    gained = f"ppcls / {other}"
    rows = [["network", "batch", "side", *(f"{name} [images/s]" for name in interpreters), gained]]
    for text in arguments.cases.split(","):
        case = Case.of(text)
        more = ["--evaluation"] if arguments.evaluation else []
        speeds = measure(text, interpreters, arguments.rounds, arguments.steps, more)
        gain = speeds["ppcls"] / speeds[other]
        shown = [case.network + " (frozen)" * case.frozen, str(case.batch), str(case.side)]
        rows.append([*shown, *(f"{speed:.1f}" for speed in speeds.values()), f"{gain:.2f}"])
        print(json.dumps({"case": text, **speeds}), file=sys.stderr, flush=True)
    print(processor())
    print(markdown(rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cases", default=CASES, help="NETWORK:BATCH:SIDE[:frozen], ...")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2, help="steps of a turn")
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has torch")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument(
        "--without", default="", metavar="A;B", help="subjects of PyTorch to leave out, for memory"
    )
    parser.add_argument("--evaluation", action="store_true", help="no gradients, no updates")
    subjects = {*SUBJECTS, *COMPILED, *EVALUATED}
    parser.add_argument("--worker", choices=sorted(subjects), help=argparse.SUPPRESS)
    return parser


def measure(
    case: str, interpreters: Dict[str, str], rounds: int, steps: int, options: Sequence[str] = ()
) -> Dict[str, float]:
    """Return the median images a second of each subject."""
    workers = {name: _started(name, python, case, options) for name, python in interpreters.items()}
    seconds: Dict[str, List[float]] = {name: [] for name in workers}
    for number in range(rounds + 1):
        for name, worker in workers.items():
            taken = _turn(worker, steps)
            if number:  # the first round makes what later ones find made
                seconds[name].append(taken)
    for worker in workers.values():
        worker.communicate("")
    images = Case.of(case).batch * steps
    return {name: round(images / statistics.median(found), 2) for name, found in seconds.items()}


def _started(name: str, python: str, case: str, options: Sequence[str]) -> subprocess.Popen[str]:
    command = [python, str(Path(__file__).resolve()), "--worker", name, "--cases", case, *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _turn(worker: subprocess.Popen[str], steps: int) -> float:
    assert worker.stdin and worker.stdout
    worker.stdin.write(f"{steps}\n")
    worker.stdin.flush()
    for line in worker.stdout:
        if line.startswith("seconds "):
            return float(line.split()[1])
    raise SystemExit(f"cpu_step: {' '.join(map(str, worker.args))} ended early")  # type: ignore[arg-type]


def work(name: str, case: Case, evaluation: bool) -> None:
    """Take as many steps as each line of standard input says, and print the seconds."""
    step: Callable[[], object]
    if evaluation:
        step = evaluation_step(name, case)
    elif name.startswith("torch"):
        step = torch_step(case, "channels" in name, "bfloat16" in name, "compiled" in name)
    else:
        step = paddle_step(case, name.startswith("ppcls"), "bfloat16" in name)
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            step()
        print("seconds", time.perf_counter() - began, flush=True)


def paddle_step(case: Case, by_onednn: bool, bfloat16: bool) -> Callable[[], float]:
    """Return what takes a step of a network of this toolkit."""
    network = _paddle_network(case, by_onednn, "bfloat16" if bfloat16 else "float32")
    import paddle

    network.train()
    trained = [one for one in network.parameters() if not one.stop_gradient]
    optimizer = paddle.optimizer.AdamW(1e-3, parameters=trained)
    images = paddle.randn([case.batch, 3, case.side, case.side])
    labels = paddle.randint(0, CLASSES, [case.batch])

    def step() -> float:
        loss = _loss(paddle.nn.functional.cross_entropy, network(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return loss.item()

    return step


def _paddle_network(case, by_onednn, dtype="float32"):  # type: ignore[no-untyped-def]
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from ppcls import runtime

    runtime.prepare()
    runtime.keep_freed_memory()
    import paddle

    from ppcls.arch import create_model
    from ppcls.arch.acceleration import accelerate
    from ppcls.arch.freezing import freeze_statistics

    paddle.set_device("cpu")
    paddle.seed(0)
    network = create_model(case.network, class_num=CLASSES)
    if case.frozen:
        freeze_statistics(network)
    if by_onednn:
        accelerate(network, dtype)
    return network


def evaluation_step(name: str, case: Case) -> Callable[[], object]:
    """Return what computes a network's answers for a batch."""
    network = _paddle_network(case, name == "ppcls")
    import numpy as np
    import paddle

    network.eval()
    shape = (3, case.side, case.side)
    images = np.random.default_rng(0).normal(size=(case.batch, *shape)).astype(np.float32)
    if name == "onnxruntime":
        return _step_of_onnxruntime(network, shape, images)
    batch = paddle.to_tensor(images)

    def step() -> object:
        with paddle.no_grad():
            return network(batch).numpy()

    return step


def _step_of_onnxruntime(network, shape, images):  # type: ignore[no-untyped-def]
    import onnxruntime

    from ppcls import runtime
    from ppcls.exporters.onnx import write_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = runtime.available_cores(), 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        write_onnx(network, path, shape=shape, probabilities=False)
        session = onnxruntime.InferenceSession(str(path), options)
    given = {session.get_inputs()[0].name: images}
    return lambda: session.run(None, given)


def torch_step(
    case: Case, channels_last: bool, bfloat16: bool, compiled: bool
) -> Callable[[], float]:
    """Return what takes a step of the same network in PyTorch."""
    import torch

    torch.manual_seed(0)
    network = _torch_network(TORCH_NAMES[case.network]).train()
    if case.frozen:
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.eval()
    last = channels_last or bfloat16 or compiled
    form = torch.channels_last if last else torch.contiguous_format
    network = network.to(memory_format=form)
    network = torch.compile(network) if compiled else network
    images = torch.randn(case.batch, 3, case.side, case.side).to(memory_format=form)
    labels = torch.randint(0, CLASSES, (case.batch,))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = _loss(torch.nn.functional.cross_entropy, network(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _loss(cross_entropy, outputs, labels):  # type: ignore[no-untyped-def]
    """Return the loss of logits, to which auxiliary heads add 0.3 of theirs, as ours do."""
    heads = tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)
    first, *others = [cross_entropy(head, labels) for head in heads if head is not None]
    return first + 0.3 * sum(others)


def _torch_network(name: str):  # type: ignore[no-untyped-def]
    source, _, name = name.partition(":")
    if source == "timm":
        import timm

        return timm.create_model(name, num_classes=CLASSES)
    import torchvision

    # Without it, GoogLeNet draws its weights for a minute.
    more = {"init_weights": False} if name == "googlenet" else {}
    return torchvision.models.get_model(name, num_classes=CLASSES, **more)


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and "avx512_bf16" in cpuinfo.read_text()


def processor() -> str:
    """Return what the machine is."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(names)} cores"


def markdown(rows: List[List[str]]) -> str:
    """Return rows as a table; the first one is its head."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths)] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [lines[0], rule, *lines[1:]])


if __name__ == "__main__":
    main()
