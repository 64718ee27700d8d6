"""Make the pages of error messages: provoke every kind of bad input, and print what people get.

``python scripts/error_messages.py`` writes error_messages.md in docs/en and docs/zh_CN. Each row of
the table `CASES` is one bad input: how it comes about in a folder of real files, the commands that
a user types there, and what must come out. tests/test_error_messages.py runs the same table.
"""

# Sentences in two languages are easier to compare when each is one line.
# ruff: noqa: E501

from __future__ import annotations

import argparse
import os
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[1]
SHOWN_FOLDER = "/home/you/project"
"""What the pages call the folder in which the commands run."""

LANGUAGES = ("en", "zh_CN")
TIME_LIMIT = 300
"""Seconds that a command may take."""

Text = Tuple[str, str]
"""The same in English and in Chinese."""

Prepare = Callable[[Path], None]
"""Changes the files of a folder so that something in it is wrong."""


@dataclass(frozen=True)
class Step:
    """A command, the exit status that it must end with, and texts that its output must hold.

    Attributes:
        interrupt: send SIGINT, as Ctrl-C does, when this text appears in the output.
        without: packages that the command must not find, as if they were not installed.
        in_shell: the command needs a shell of its own (limits, several programs).
        absent: files that must not exist afterwards.
        prepare: what is done to the files just before.
    """

    command: str
    status: int = 0
    texts: Sequence[str] = ()
    interrupt: str = ""
    without: Sequence[str] = ()
    in_shell: bool = False
    absent: Sequence[str] = ()
    prepare: Optional[Prepare] = None

    @property
    def needs_a_process(self) -> bool:
        """Whether the command cannot be run inside a test's own process."""
        return bool(self.interrupt or self.without or self.in_shell)


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        name: a short name, for tests.
        title: the heading.
        story: one sentence that says what is wrong and how it came about.
        steps: what is typed, in this order.
        prepare: makes the input bad.
        start: the folder at the beginning: "plain" (data and recipe), "trained" (with a finished
            run of two epochs) or "exported" (with a bundle as well).
    """

    name: str
    title: Text
    story: Text
    steps: Sequence[Step]
    prepare: Optional[Prepare] = None
    start: str = "plain"

    @property
    def needs_a_process(self) -> bool:
        """Whether any of its commands needs one."""
        return any(step.needs_a_process for step in self.steps)


@dataclass(frozen=True)
class Outcome:
    """What a command printed, both streams together, and its exit status."""

    output: str
    status: int


Run = Callable[[Step, Path], Outcome]

# ---------------------------------------------------------------------------------------------
# The folder that every case starts from

CLASSES = ("zero", "one", "two", "three")

RECIPE = """\
Global:
  output_dir: output
  device: cpu
  epochs: 2
  print_batch_step: 100
Arch:
  name: LeNet
  class_num: 4
Loss:
  Train:
    - CELoss: {epsilon: 0.1}
  Eval:
    - CELoss:
Optimizer:
  name: Momentum
  lr:
    name: Cosine
    learning_rate: 0.05
DataLoader:
  Train:
    dataset:
      name: ImageNetDataset
      image_root: digits
      cls_label_path: digits/train_list.txt
      transform_ops:
        - DecodeImage: {channel_num: 1}
        - RandCropImage: {size: 32, scale: [0.8, 1.0]}
        - NormalizeImage: {scale: 1.0/255.0, mean: [0.5], std: [0.5], order: '', channel_num: 1}
    sampler: {name: DistributedBatchSampler, batch_size: 16, shuffle: True}
  Eval:
    dataset:
      name: ImageNetDataset
      image_root: digits
      cls_label_path: digits/val_list.txt
      transform_ops:
        - DecodeImage: {channel_num: 1}
        - ResizeImage: {size: 32}
        - NormalizeImage: {scale: 1.0/255.0, mean: [0.5], std: [0.5], order: '', channel_num: 1}
    sampler: {name: DistributedBatchSampler, batch_size: 16}
Infer:
  infer_imgs: to_predict
  PostProcess: {name: Topk, topk: 2}
Metric:
  Eval:
    - TopkAcc: {topk: [1, 2]}
"""


def make_plain(folder: Path) -> None:
    """Write 120 real digits of four classes as JPEG files, list files, a label file and the recipe."""
    import cv2
    import numpy as np
    from sklearn.datasets import load_digits

    data = load_digits()
    for split, first, count in (("train", 0, 20), ("val", 20, 10)):
        lines = []
        for label, name in enumerate(CLASSES):
            (folder / "digits" / split / name).mkdir(parents=True)
            for i, image in enumerate(data.images[data.target == label][first : first + count]):
                path = f"{split}/{name}/{i:02d}.jpg"
                large = cv2.resize(np.clip(image * 16, 0, 255).astype(np.uint8), (64, 64))
                cv2.imwrite(str(folder / "digits" / path), large)
                lines.append(f"{path} {label}\n")
        (folder / f"digits/{split}_list.txt").write_text("".join(lines))
    labels = "".join(f"{label} {name}\n" for label, name in enumerate(CLASSES))
    (folder / "digits/label_list.txt").write_text(labels)
    (folder / "to_predict").mkdir()
    for name in ("00.jpg", "01.jpg"):
        shutil.copy(folder / "digits/val/zero" / name, folder / "to_predict")
    (folder / "recipe.yaml").write_text(RECIPE)
    for door in ("tools", "deploy"):
        (folder / door).symlink_to(ROOT / door)


TRAIN = "python tools/train.py -c recipe.yaml"
EVAL = "python tools/eval.py -c recipe.yaml"
INFER = "python tools/infer.py -c recipe.yaml"
EXPORT = "python tools/export_model.py -c recipe.yaml"
PREDICT = "python deploy/predict.py --model_dir output/inference"
CONVERT = (
    "python tools/convert_weights.py --source torchvision --name resnet18 "
    "--input output/best_model.safetensors --output"
)

NEXT_START = {"trained": ("plain", Step(TRAIN)), "exported": ("trained", Step(EXPORT))}
"""Each start is another one plus a command."""


class Starts:
    """Makes each start once, and copies of it."""

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder, self._run = folder, run

    def copy(self, start: str, target: Path) -> None:
        """Copy the start to `target`, a folder that does not exist yet."""
        shutil.copytree(self._made(start), target, symlinks=True)

    def _made(self, start: str) -> Path:
        folder = self._folder / start
        if folder.is_dir():
            return folder
        if start == "plain":
            make_plain(folder)
            return folder
        before, step = NEXT_START[start]
        self.copy(before, folder)
        found = self._run(step, folder)
        if found.status:
            raise RuntimeError(f"{step.command} failed:\n{found.output}")
        return folder


# ---------------------------------------------------------------------------------------------
# How inputs go bad


def edit(*changes: Tuple[str, str], file: str = "recipe.yaml") -> Prepare:
    """Replace texts of a file, each once; all of them must occur."""

    def prepare(folder: Path) -> None:
        text = (folder / file).read_text()
        for old, new in changes:
            assert old in text, f"{file} does not hold {old!r}"
            text = text.replace(old, new, 1)
        (folder / file).write_text(text)

    return prepare


def write(file: str, text: str) -> Prepare:
    """Write a file, whose folder is made."""

    def prepare(folder: Path) -> None:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)

    return prepare


def truncate(file: str, part: float) -> Prepare:
    """Keep only the first part of a file, as after an interrupted copy."""

    def prepare(folder: Path) -> None:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[: int(len(content) * part)])

    return prepare


def remove(file: str) -> Prepare:
    """Delete a file or folder."""

    def prepare(folder: Path) -> None:
        path = folder / file
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return prepare


def rename(old: str, new: str) -> Prepare:
    """Give a file or folder another name."""

    def prepare(folder: Path) -> None:
        (folder / old).rename(folder / new)

    return prepare


def make_folder(name: str) -> Prepare:
    """Make an empty folder."""

    def prepare(folder: Path) -> None:
        (folder / name).mkdir(parents=True)

    return prepare


def all_of(*prepares: Prepare) -> Prepare:
    """Do one after the other."""

    def prepare(folder: Path) -> None:
        for one in prepares:
            one(folder)

    return prepare


def write_hostile_weights(folder: Path) -> None:
    """Write a pickle that would run a shell command if it was loaded in the usual way."""

    class Bomb:
        def __reduce__(self) -> Any:
            return os.system, ("touch was_run",)

    content = pickle.dumps({"conv1.weight": Bomb()}, protocol=2)
    (folder / "downloaded.pdparams").write_bytes(content)


def use_class_folders(folder: Path) -> None:
    """Let the recipe read class folders instead of list files."""
    for split in ("train", "val"):
        edit(
            ("name: ImageNetDataset", "name: ImageFolder"),
            ("image_root: digits\n", f"image_root: digits/{split}\n"),
            (f"      cls_label_path: digits/{split}_list.txt\n", ""),
        )(folder)


def leave_out_class_three(folder: Path) -> None:
    """Leave the last class out of the list files, and class_num out of the recipe."""
    for split in ("train", "val"):
        path = folder / f"digits/{split}_list.txt"
        kept = [line for line in path.read_text().splitlines(True) if not line.endswith(" 3\n")]
        path.write_text("".join(kept))
    edit(("  class_num: 4\n", ""))(folder)


DAMAGED = "digits/train/two/07.jpg"
TOO_MANY = [f"digits/train/{name}/{i:02d}.jpg" for name in CLASSES[:2] for i in range(3)]

# ---------------------------------------------------------------------------------------------
# The table

CONFIGURATION = [
    Case(
        "unknown_key",
        ("An unknown key", "未知的键"),
        (
            "The recipe says `Global.epoch` where `Global.epochs` is meant.",
            "配置文件把 `Global.epochs` 写成了 `Global.epoch`。",
        ),
        [Step(TRAIN, 2, ["recipe.yaml:4: Global.epoch", "Did you mean 'epochs'?"])],
        edit(("epochs: 2", "epoch: 2")),
    ),
    Case(
        "wrong_type",
        ("A value of the wrong type", "值的类型不对"),
        (
            "`Global.epochs` is a word instead of a number.",
            "`Global.epochs` 应该是数字，却写成了单词。",
        ),
        [Step(TRAIN, 2, ["recipe.yaml:4: Global.epochs: expected a whole number, got 'two'"])],
        edit(("epochs: 2", "epochs: two")),
    ),
    Case(
        "missing_value",
        ("A missing value", "缺少必需的值"),
        (
            "The schedule has no `learning_rate`, which it cannot do without.",
            "学习率策略缺少必需的 `learning_rate`。",
        ),
        [Step(TRAIN, 2, ["recipe.yaml:16: Optimizer.lr.learning_rate", "it takes a number"])],
        edit(("    learning_rate: 0.05\n", "")),
    ),
    Case(
        "several_mistakes",
        ("Several mistakes in one file", "一个文件里有多处错误"),
        (
            "Four mistakes in different sections; all are reported at once, in the order of the file.",
            "不同的段里共有四处错误；它们按文件中的顺序一次全部报告。",
        ),
        [
            Step(
                TRAIN,
                2,
                [
                    "4 mistakes in recipe.yaml",
                    "recipe.yaml:3: Global.device: unknown device 'cuda'. Accepted: auto, cpu, gpu",
                    "recipe.yaml:11: Loss.Train.0.CELoss.epsilon",
                    "recipe.yaml:16: Optimizer.momentun",
                    "recipe.yaml:28: DataLoader.Train.dataset.transform_ops.1",
                    "Did you mean 'RandCropImage'?",
                ],
            )
        ],
        edit(
            ("device: cpu", "device: cuda"),
            ("epsilon: 0.1", "epsilon: high"),
            ("  name: Momentum\n", "  name: Momentum\n  momentun: 0.9\n"),
            ("RandCropImage", "RandomCropImage"),
        ),
    ),
    Case(
        "unknown_network",
        ("An unknown network", "未知的网络"),
        (
            "There is no network called `ResNet5`; the nearest one is named.",
            "没有名为 `ResNet5` 的网络；提示中给出最接近的名字。",
        ),
        [Step(TRAIN, 2, ["recipe.yaml:7: Arch.name", "'ResNet5'", "Did you mean 'ResNet"])],
        edit(("name: LeNet", "name: ResNet5")),
    ),
    Case(
        "unknown_argument",
        ("An unknown argument of a network", "网络没有的参数"),
        (
            "LeNet has no argument `in_chanels`.",
            "LeNet 没有参数 `in_chanels`。",
        ),
        [Step(TRAIN, 2, ["recipe.yaml:8: Arch.in_chanels", "Did you mean 'in_channels'?"])],
        edit(("  class_num: 4\n", "  in_chanels: 1\n  class_num: 4\n")),
    ),
    Case(
        "without_effect",
        ("A PaddleClas key that has no effect here", "在这里不起作用的 PaddleClas 键"),
        (
            "A recipe written for PaddleClas holds keys that are not needed here; each gets a warning "
            "that says why, and the run goes on.",
            "为 PaddleClas 编写的配置文件里有此处不需要的键；每个键都有一条说明原因的警告，运行继续进行。",
        ),
        [
            Step(
                f"{TRAIN} --dry-run",
                0,
                [
                    "warning: recipe.yaml:6: Global.use_dali has no effect here",
                    "warning: recipe.yaml:7: Global.to_static has no effect here",
                    "dry run: all parts fit together",
                ],
            )
        ],
        edit(
            (
                "  print_batch_step: 100\n",
                "  print_batch_step: 100\n  use_dali: False\n  to_static: False\n",
            )
        ),
    ),
    Case(
        "bad_override",
        ("Overrides that cannot be applied", "无法应用的 -o 覆盖"),
        (
            "An override without `=`, one with a misspelt key, one that names no item of a list, and one "
            "that leads through a plain value.",
            "缺少 `=` 的覆盖、键名拼错的覆盖、没有指明列表项的覆盖，以及穿过普通值的覆盖。",
        ),
        [
            Step(f"{TRAIN} -o Global.epochs", 2, ["-o Global.epochs", "KEY=VALUE"]),
            Step(
                f"{TRAIN} -o Global.epoch=10", 2, ["-o Global.epoch=10", "Did you mean 'epochs'?"]
            ),
            Step(
                f"{TRAIN} -o Loss.Train.CELoss.epsilon=0.2",
                2,
                ["'Loss.Train' is a list", "0: CELoss"],
            ),
            Step(
                f"{TRAIN} -o Arch.name.depth=18",
                2,
                ["'Arch.name' is the value 'LeNet'"],
            ),
        ],
    ),
    Case(
        "missing_file",
        ("A configuration file that does not exist", "配置文件不存在"),
        (
            "The file's name is misspelt.",
            "文件名拼写错误。",
        ),
        [
            Step(
                "python tools/train.py -c configs/quick_start/LeNet_digit.yaml",
                2,
                ["there is no configuration file", "Did you mean", "LeNet_digits.yaml"],
            )
        ],
    ),
    Case(
        "not_yaml",
        (
            "A file that is not YAML, and a key that is written twice",
            "不是合法 YAML 的文件，以及重复的键",
        ),
        (
            "A bracket is not closed; in the second file, `epochs` stands twice in `Global`.",
            "一个括号没有闭合；在第二个文件里，`Global` 中的 `epochs` 出现了两次。",
        ),
        [
            Step(TRAIN, 2, ["recipe.yaml:", "not valid YAML"]),
            Step(
                "python tools/train.py -c second.yaml",
                2,
                ["second.yaml:5", "'epochs' is written twice", "line 4"],
            ),
        ],
        all_of(
            write("second.yaml", RECIPE.replace("  epochs: 2\n", "  epochs: 2\n  epochs: 5\n")),
            edit(("[0.8, 1.0]", "[0.8, 1.0")),
        ),
    ),
]

DATA = [
    Case(
        "missing_data_folder",
        ("A data folder that does not exist", "数据文件夹不存在"),
        ("`image_root` is misspelt.", "`image_root` 拼写错误。"),
        [Step(TRAIN, 1, ["recipe.yaml:20: DataLoader.Train: image_root 'digit' does not exist"])],
        edit(("image_root: digits", "image_root: digit")),
    ),
    Case(
        "missing_list_file",
        ("A list file that does not exist", "列表文件不存在"),
        ("The list file was deleted.", "列表文件已被删除。"),
        [Step(TRAIN, 1, ["list file 'digits/train_list.txt' does not exist"])],
        remove("digits/train_list.txt"),
    ),
    Case(
        "images_elsewhere",
        ("A list file whose images lie elsewhere", "列表文件中的图像不在所给的位置"),
        (
            "The list is right, but `image_root` names another folder that exists.",
            "列表没有错，但 `image_root` 指向了另一个存在的文件夹。",
        ),
        [Step(TRAIN, 1, ["none of the first 5 images", "image_root"])],
        edit(("image_root: digits", "image_root: digits/val")),
    ),
    Case(
        "empty_data_folder",
        ("An empty data folder", "空的数据文件夹"),
        (
            "The recipe reads class folders, and the folder is empty; then a class's folder is.",
            "配置文件按类别文件夹读取数据，而该文件夹是空的；然后是某个类别的文件夹为空。",
        ),
        [
            Step(
                f"{TRAIN} -o DataLoader.Train.dataset.image_root=nothing",
                1,
                ["'nothing' holds no folder", "one folder for each class"],
            ),
            Step(TRAIN, 1, ["'digits/train' has 1 class folder without an image: four"]),
        ],
        all_of(use_class_folders, make_folder("nothing"), make_folder("digits/train/four")),
    ),
    Case(
        "empty_list_file",
        ("An empty list file", "空的列表文件"),
        ("The list file has no lines.", "列表文件一行也没有。"),
        [Step(TRAIN, 1, ["list file 'digits/train_list.txt' is empty"])],
        write("digits/train_list.txt", ""),
    ),
    Case(
        "line_without_label",
        ("List lines without a label", "列表行缺少标签"),
        (
            "Two lines of the list hold a path only.",
            "列表中有两行只有路径。",
        ),
        [Step(TRAIN, 1, ["digits/train_list.txt:1:", "digits/train_list.txt:3:", "no label in"])],
        edit(
            ("train/zero/00.jpg 0\n", "train/zero/00.jpg\n"),
            ("train/zero/02.jpg 0\n", "train/zero/02.jpg\n"),
            file="digits/train_list.txt",
        ),
    ),
    Case(
        "label_beyond_classes",
        ("Labels beyond class_num", "标签超出 class_num"),
        (
            "The network has 4 classes, and one line says class 4; classes are numbered from 0.",
            "网络有 4 个类别，而列表的一行写着类别 4；类别从 0 开始编号。",
        ),
        [Step(TRAIN, 1, ["digits/train_list.txt:80: label 4 is beyond", "4 classes"])],
        edit(("train/three/19.jpg 3\n", "train/three/19.jpg 4\n"), file="digits/train_list.txt"),
    ),
    Case(
        "negative_label",
        ("A negative label, and one that is no whole number", "负数标签，以及不是整数的标签"),
        (
            "One line of the list has the label -1, another 1.5.",
            "列表中一行的标签是 -1，另一行是 1.5。",
        ),
        [
            Step(
                TRAIN,
                1,
                [
                    "digits/train_list.txt:21: label -1 is negative",
                    "digits/train_list.txt:22: label '1.5' is not a whole number",
                ],
            )
        ],
        edit(
            ("train/one/00.jpg 1\n", "train/one/00.jpg -1\n"),
            ("train/one/01.jpg 1\n", "train/one/01.jpg 1.5\n"),
            file="digits/train_list.txt",
        ),
    ),
    Case(
        "unknown_class_folder",
        ("A class folder that the training set does not know", "训练集中没有的类别文件夹"),
        (
            "The recipe reads class folders; the evaluation set calls a class `tree` that is `three` in "
            "the training set.",
            "配置文件按类别文件夹读取数据；训练集中的类别 `three` 在评估集里写成了 `tree`。",
        ),
        [
            Step(
                TRAIN,
                1,
                ["'digits/val' has 1 folder without a class", "tree", "Did you mean 'three'?"],
            )
        ],
        all_of(use_class_folders, rename("digits/val/three", "digits/val/tree")),
    ),
    Case(
        "class_count",
        ("class_num and the data disagree", "class_num 与数据不符"),
        (
            "The class folders are four, and `Arch.class_num` is 3.",
            "类别文件夹有四个，而 `Arch.class_num` 是 3。",
        ),
        [
            Step(
                TRAIN, 2, ["recipe.yaml:8: Arch.class_num is 3", "4 classes", "-o Arch.class_num=4"]
            )
        ],
        all_of(use_class_folders, edit(("class_num: 4", "class_num: 3"))),
    ),
    Case(
        "label_file",
        ("class_num and the label file disagree", "class_num 与标签文件不符"),
        (
            "`Global.class_id_map_file` names 4 classes, and `Arch.class_num` is 10.",
            "`Global.class_id_map_file` 列出了 4 个类别，而 `Arch.class_num` 是 10。",
        ),
        [
            Step(
                f"{TRAIN} -o Arch.class_num=10 -o Global.class_id_map_file=digits/label_list.txt",
                2,
                ["Arch.class_num is 10", "digits/label_list.txt names 4 classes"],
            )
        ],
    ),
    Case(
        "image_size",
        ("Images that are too small for the network", "图像对网络来说太小"),
        (
            "The training images are cropped to 16x16 pixels, which LeNet cannot take; then a list that "
            "leaves every image its own size.",
            "训练图像被裁剪成 16x16 像素，LeNet 无法处理；然后是让每张图像保持各自大小的列表。",
        ),
        [
            Step(
                f"{TRAIN} -o DataLoader.Train.dataset.transform_ops.1.RandCropImage.size=16",
                2,
                ["16x16 pixels", "LeNet needs at least 32x32"],
            ),
            Step(
                f"{TRAIN} -o DataLoader.Eval.dataset.transform_ops.1='{{ResizeImage: {{resize_short: 40}}}}'",
                2,
                ["DataLoader.Eval.dataset.transform_ops", "different sizes", "CropImage"],
            ),
        ],
    ),
]

IMAGES = [
    Case(
        "damaged_image",
        ("A truncated image in the training set", "训练集里有一张被截断的图像"),
        (
            "One of 80 JPEG files breaks off in the middle, and `Global.max_bad_samples` accepts 2 %: "
            "the image is named and left out, and training goes on.",
            "80 个 JPEG 文件中有一个在中间断掉，而 `Global.max_bad_samples` 允许 2 %：该图像被指出并跳过，训练继续。",
        ),
        [
            Step(
                f"{TRAIN} -o Global.max_bad_samples=0.02",
                0,
                [f"warning: skipped an unreadable training image: {DAMAGED}", "trained 2 epochs"],
            )
        ],
        truncate(DAMAGED, 0.5),
    ),
    Case(
        "too_many_damaged_images",
        ("More damaged training images than accepted", "损坏的训练图像超过允许的比例"),
        (
            "Six of 80 JPEG files break off, and `Global.max_bad_samples` accepts 5 %: the run stops as soon as there are more, and names them.",
            "80 个 JPEG 文件中有六个断掉，而 `Global.max_bad_samples` 允许 5 %：一旦超过，运行就停止并列出它们。",
        ),
        [
            Step(
                f"{TRAIN} -o Global.max_bad_samples=0.05",
                1,
                ["of 80 training images could not be read so far", "Global.max_bad_samples=0.05"],
            )
        ],
        all_of(*(truncate(path, 0.5) for path in TOO_MANY)),
    ),
    Case(
        "damaged_images_in_evaluation",
        ("A damaged image in evaluation and prediction", "评估和预测时遇到损坏的图像"),
        (
            "One image of the evaluation set breaks off: every program reports it as an error row, and "
            "no figure counts it.",
            "评估集里有一张图像断掉：每个程序都把它作为一行错误报告，任何指标都不计入它。",
        ),
        [
            Step(
                f"{EVAL} --json figures.json",
                0,
                [
                    "error: digits/val/zero/01.jpg: ",
                    "39 images",
                    "1 image could not be read and left out",
                ],
            ),
            Step(INFER, 0, ["to_predict/01.jpg\n  error: ", "to_predict/00.jpg\n   "]),
            Step(
                f"{PREDICT} --input to_predict",
                0,
                ["to_predict/00.jpg\n   ", "to_predict/01.jpg\n  error: ", "2 images, 1 error"],
            ),
            Step(
                f"{PREDICT} --input to_predict/01.jpg",
                1,
                ["to_predict/01.jpg\n  error: ", "1 image, 1 error"],
            ),
        ],
        all_of(truncate("digits/val/zero/01.jpg", 0.5), truncate("to_predict/01.jpg", 0.5)),
        "exported",
    ),
]

CHECKPOINTS = [
    Case(
        "full_disk",
        ("The disk is full when a checkpoint is written", "写检查点时磁盘已满"),
        (
            "A limit on the size of files plays the full disk; the checkpoints that were there are "
            "intact, no half-written file is left, and the run goes on from them later.",
            "用文件大小限制来模拟磁盘已满；已有的检查点完好无损，没有留下写了一半的文件，之后可以从它们继续运行。",
        ),
        [
            Step(
                f"(ulimit -f 300; {TRAIN} --resume auto -o Global.epochs=3)",
                1,
                ["cannot write output/", "What was saved before is intact", "--resume auto"],
                in_shell=True,
            ),
            Step(
                "ls -A output/checkpoints",
                0,
                ["step_00000005.safetensors", "step_00000010.safetensors"],
                in_shell=True,
            ),
            Step(
                f"{TRAIN} --resume auto -o Global.epochs=3",
                0,
                ["resumed from output/checkpoints/step_00000010.safetensors", "trained 3 epochs"],
            ),
        ],
        start="trained",
    ),
    Case(
        "other_architecture",
        ("Weights of another network", "权重属于另一个网络"),
        (
            "The run trained LeNet, and the recipe now asks for SqueezeNet.",
            "训练的是 LeNet，而配置文件现在要求 SqueezeNet。",
        ),
        [
            Step(
                f"{EVAL} -o Arch.name=SqueezeNet1_1",
                1,
                ["output/best_model.safetensors holds the weights of LeNet", "-o Arch.name=LeNet"],
            ),
            Step(
                f"{TRAIN} --resume auto -o Arch.name=SqueezeNet1_1",
                1,
                ["step_00000010.safetensors cannot be resumed", "'LeNet'", "'SqueezeNet1_1'"],
            ),
        ],
        start="trained",
    ),
    Case(
        "other_class_count",
        ("A checkpoint of another number of classes", "检查点的类别数不同"),
        (
            "The run learnt four classes; then the recipe says ten, the list files lose a class, and "
            "new training starts from these weights.",
            "原来的训练有四个类别；之后配置文件写成十个，列表文件又去掉一个类别，并用这些权重开始新的训练。",
        ),
        [
            Step(
                f"{EVAL} -o Arch.class_num=10",
                1,
                ["was trained for 4 classes", "Arch.class_num is 10"],
            ),
            Step(
                f"{TRAIN} --resume auto",
                1,
                ["step_00000010.safetensors cannot be resumed", "classes"],
                prepare=leave_out_class_three,
            ),
            Step(
                f"{TRAIN} -o Global.output_dir=output/new -o Global.pretrained_model=output/best_model.safetensors",
                1,
                ["was trained for 4 classes, the network has 3", "-o Global.partial=True"],
            ),
        ],
        start="trained",
    ),
    Case(
        "truncated_checkpoint",
        ("A truncated checkpoint", "被截断的检查点"),
        (
            "The newest checkpoint lost its second half: naming it is an error, `--resume auto` passes "
            "over it to the one before.",
            "最新的检查点丢失了后一半：指名使用它会报错，`--resume auto` 则跳过它，使用前一个。",
        ),
        [
            Step(
                f"{TRAIN} --resume output/checkpoints/step_00000010.safetensors",
                1,
                ["step_00000010.safetensors is not a readable safetensors file", "truncated"],
            ),
            Step(
                f"{TRAIN} --resume auto",
                0,
                [
                    "warning: passed over a checkpoint: output/checkpoints/step_00000010.safetensors",
                    "resumed from output/checkpoints/step_00000005.safetensors",
                    "trained 2 epochs",
                ],
            ),
        ],
        truncate("output/checkpoints/step_00000010.safetensors", 0.5),
        "trained",
    ),
    Case(
        "hostile_weights",
        ("A .pdparams file that wants to run code", "企图执行代码的 .pdparams 文件"),
        (
            "The file is a pickle that would run a shell command when loaded in the usual way; nothing "
            "of it is run.",
            "该文件是一个 pickle，用普通方式加载会执行一条 shell 命令；这里什么都不会执行。",
        ),
        [
            Step(
                f"{TRAIN} -o Global.pretrained_model=downloaded.pdparams",
                1,
                ["downloaded.pdparams is refused", ".system'", "nothing of it was loaded"],
                absent=["was_run"],
            )
        ],
        write_hostile_weights,
    ),
    Case(
        "no_weights",
        ("Nothing was trained yet, or a weight file is missing", "尚未训练，或权重文件不存在"),
        (
            "Evaluation without a run in `Global.output_dir`, with a misspelt weight file, and "
            "`--resume` with a file of weights only.",
            "`Global.output_dir` 中没有训练结果就评估；权重文件名拼错；用只含权重的文件来 `--resume`。",
        ),
        [
            Step(
                f"{EVAL} -o Global.output_dir=output/other",
                1,
                ["there are no trained weights", "-o Global.pretrained_model=FILE"],
            ),
            Step(
                f"{EVAL} -o Global.pretrained_model=output/best_modell.safetensors",
                1,
                ["no weight file found", "Did you mean 'best_model"],
            ),
            Step(
                f"{TRAIN} --resume output/best_model.safetensors",
                1,
                ["holds weights only", "-o Global.pretrained_model="],
            ),
        ],
        start="trained",
    ),
    Case(
        "published_weights",
        ("Published weights that there are not", "不存在的已发布权重"),
        (
            "A network without published weights is to start from them; then prediction by a "
            "misspelt network, and by one without weights.",
            "要求从已发布的权重开始，但该网络没有；然后用拼错名称的网络、没有权重的网络预测。",
        ),
        [
            Step(
                f"{TRAIN} -o Arch.pretrained=True",
                2,
                ["Arch.pretrained: no weights of LeNet are published", "weights list"],
            ),
            Step(
                "python deploy/predict.py --model EfficientNetLite --pretrained to_predict",
                2,
                ["Did you mean 'EfficientNetLite0'?"],
            ),
            Step(
                "python deploy/predict.py --model EfficientNetLite0 to_predict",
                2,
                ["add --pretrained"],
            ),
        ],
    ),
    Case(
        "conversion",
        ("A checkpoint that is not what it was said to be", "检查点与所说的不符"),
        (
            "The source is misspelt; then the file is this toolkit's own; then the output is there "
            "already.",
            "来源拼错；然后文件本来就是本工具写的；然后输出文件已经存在。",
        ),
        [
            Step(f"{CONVERT.replace('vision', 'vison')} new.safetensors", 2, ["'torchvision'?"]),
            Step(f"{CONVERT} new.safetensors", 2, ["needs no conversion", "weights of LeNet"]),
            Step(f"{CONVERT} output/best_model.safetensors", 2, ["--overwrite replaces it"]),
        ],
        start="trained",
    ),
]

RUNS = [
    Case(
        "folder_in_use",
        ("The output folder already holds a run", "输出文件夹里已有一次训练"),
        (
            "The same command is given a second time.",
            "同一条命令执行了第二次。",
        ),
        [
            Step(
                TRAIN,
                2,
                ["output already holds a run", "--resume auto", "--overwrite", "Global.output_dir"],
            )
        ],
        start="trained",
    ),
    Case(
        "ctrl_c",
        ("Ctrl-C", "Ctrl-C"),
        (
            "Training is stopped by hand; the step is finished, the state saved, and the run continued.",
            "手动停止训练；当前步骤完成后保存状态，然后继续运行。",
        ),
        [
            Step(
                f"{TRAIN} -o Global.epochs=2000 -o Global.save_interval=500",
                130,
                ["stopped by SIGINT", "state is saved", "--resume auto"],
                interrupt="epoch 2/",
            ),
            Step(
                f"{TRAIN} --resume auto -o Global.epochs=3",
                0,
                ["resumed from output/checkpoints/step_", "trained 3 epochs"],
            ),
        ],
    ),
    Case(
        "no_gpu",
        ("No GPU where the recipe asks for one", "配置要求 GPU，但机器上没有"),
        (
            "The recipe says `device: gpu` on a machine that has none.",
            "配置文件写着 `device: gpu`，而机器上没有 GPU。",
        ),
        [
            Step(
                f"{TRAIN} -o Global.device=gpu",
                2,
                ["Global.device is 'gpu'", "-o Global.device=cpu"],
            ),
            Step(
                f"{PREDICT} --input digits/val/zero/00.jpg --device gpu",
                2,
                ["the device 'gpu'", "--device cpu"],
            ),
        ],
        start="exported",
    ),
    Case(
        "loss_not_finite",
        ("The loss becomes NaN", "损失变成 NaN"),
        (
            "The learning rate is absurd; the run stops at the next look at the loss, and what was saved "
            "before stays.",
            "学习率高得离谱；下一次检查损失时运行停止，之前保存的内容保留。",
        ),
        [
            Step(
                f"{TRAIN} --resume auto -o Global.epochs=4 -o Optimizer.lr.learning_rate=1e30",
                1,
                [
                    "the loss became NaN or Inf between steps 10 and",
                    "last good checkpoint is output/checkpoints/step_00000010.safetensors",
                    "Optimizer.lr.learning_rate",
                ],
            )
        ],
        start="trained",
    ),
    Case(
        "amp_on_cpu",
        ("Mixed precision on a CPU", "在 CPU 上使用混合精度"),
        (
            "Mixed precision is asked for on a CPU.",
            "在 CPU 上要求混合精度。",
        ),
        [Step(f"{TRAIN} -o AMP.dtype=bfloat16", 2, ["AMP needs a GPU", "-o AMP=null"])],
    ),
    Case(
        "no_visualdl",
        ("VisualDL is not installed", "没有安装 VisualDL"),
        (
            "`Global.use_visualdl` is set, and the package is missing.",
            "设置了 `Global.use_visualdl`，但没有安装该软件包。",
        ),
        [
            Step(
                f"{TRAIN} -o Global.use_visualdl=True",
                2,
                ["visualdl cannot be imported", "pip install", "-o Global.use_visualdl=False"],
                without=["visualdl"],
            )
        ],
    ),
]

EXPORT_AND_PREDICTION = [
    Case(
        "bundle_in_the_way",
        ("Export over a bundle that is already there", "导出位置已有导出的模型"),
        (
            "The same export is asked for twice.",
            "同样的导出执行了两次。",
        ),
        [Step(EXPORT, 2, ["output/inference", "already holds a bundle", "--overwrite"])],
        start="exported",
    ),
    Case(
        "no_bundle",
        ("Prediction from a folder that is no bundle", "用不是导出模型的文件夹预测"),
        (
            "`--model_dir` names the run instead of its bundle, and then a folder that does not exist.",
            "`--model_dir` 指向训练输出而不是导出的模型，然后指向不存在的文件夹。",
        ),
        [
            Step(
                "python deploy/predict.py --model_dir output --input digits/val",
                1,
                ["output: not an exported bundle", "inference.yml"],
            ),
            Step(
                "python deploy/predict.py --model_dir outputs/inference --input digits/val",
                1,
                ["outputs/inference: there is no such folder"],
            ),
        ],
        start="exported",
    ),
    Case(
        "missing_input",
        ("Prediction of a file that does not exist", "预测不存在的文件"),
        (
            "The input is missing; then it is a folder without images.",
            "输入不存在；然后输入是一个没有图像的文件夹。",
        ),
        [
            Step(
                f"{PREDICT} --input digits/val/five/00.jpg",
                2,
                ["digits/val/five/00.jpg: no such file or folder"],
            ),
            Step(f"{PREDICT} --input output", 2, ["output: the folder holds no images"]),
        ],
        remove("output/curves.png"),
        "exported",
    ),
    Case(
        "damaged_bundle",
        ("A bundle with truncated weights", "导出模型的权重被截断"),
        (
            "The copy of the bundle was interrupted.",
            "复制导出的模型时中断了。",
        ),
        [
            Step(
                f"{PREDICT} --input to_predict",
                1,
                ["output/inference/inference.pdiparams: the file has", "bytes"],
            )
        ],
        truncate("output/inference/inference.pdiparams", 0.5),
        "exported",
    ),
]

INSTALLATION = [
    Case(
        "no_paddle",
        ("Paddle is not installed", "没有安装 Paddle"),
        (
            "The package is imported, and then used, where Paddle is missing.",
            "在没有 Paddle 的环境中导入并使用本软件包。",
        ),
        [
            Step(
                "python -c 'import ppcls'",
                0,
                ["UserWarning: Paddle is not installed: run `pip install"],
                without=["paddle"],
            ),
            Step(TRAIN, 2, ["error: Paddle is not installed", "pip install"], without=["paddle"]),
        ],
    ),
]

SECTIONS: List[Tuple[Text, List[Case]]] = [
    (("Configuration", "配置"), CONFIGURATION),
    (("Data sets", "数据集"), DATA),
    (("Damaged images", "损坏的图像"), IMAGES),
    (("Checkpoints and weights", "检查点与权重"), CHECKPOINTS),
    (("Runs and devices", "运行与设备"), RUNS),
    (("Export and prediction", "导出与预测"), EXPORT_AND_PREDICTION),
    (("Installation", "安装"), INSTALLATION),
]

CASES: List[Case] = [case for _, cases in SECTIONS for case in cases]

# ---------------------------------------------------------------------------------------------
# Running

_BLIND = '''\
"""Make packages invisible, as if they were not installed."""
import os, sys
from importlib.machinery import PathFinder

class Blind(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in os.environ["HIDDEN_PACKAGES"].split(",")
        return None if hidden else super().find_spec(name, path, target)

sys.meta_path = [Blind if finder is PathFinder else finder for finder in sys.meta_path]
'''


class Processes:
    """Runs commands as a user does: in a shell, in a folder, with this interpreter as `python`."""

    def __init__(self, folder: Path) -> None:
        """Make the programs that commands need, in `folder`."""
        self._bin, self._blind = folder / "bin", folder / "blind"
        self._bin.mkdir(parents=True)
        self._blind.mkdir()
        python = self._bin / "python"
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
        python.chmod(0o755)
        (self._blind / "sitecustomize.py").write_text(_BLIND)

    def run(self, step: Step, folder: Path) -> Outcome:
        """Run one command; `RuntimeError` when it takes too long."""
        process = subprocess.Popen(
            ["bash", "-c", step.command if step.in_shell else f"exec {step.command}"],
            cwd=folder,
            env=self._environment(step),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        output = _read(process, process.stdout, step)
        return Outcome(clean(output, folder), process.wait())

    def _environment(self, step: Step) -> Dict[str, str]:
        path = f"{self._bin}{os.pathsep}{os.environ.get('PATH', '')}"
        found = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        if step.without:
            found["PYTHONPATH"] = f"{self._blind}{os.pathsep}{ROOT}"
            found["HIDDEN_PACKAGES"] = ",".join(step.without)
        return found


def _read(process: subprocess.Popen[str], stream: IO[str], step: Step) -> str:
    """Return the output; press Ctrl-C when it is time to."""
    lines, pressed, limit = [], False, time.monotonic() + TIME_LIMIT
    for line in stream:
        if step.interrupt and step.interrupt in line and not pressed:
            process.send_signal(signal.SIGINT)
            line, pressed = f"{line}^C\n", True
        lines.append(line)
        if time.monotonic() > limit:
            process.kill()
            raise RuntimeError(f"takes longer than {TIME_LIMIT} s: {step.command}")
    return "".join(lines)


def clean(output: str, folder: Path) -> str:
    """Replace the names of this machine's folders."""
    for path in (str(folder.resolve()), str(folder), str(ROOT)):
        output = output.replace(path, SHOWN_FOLDER)
    return output


def play(case: Case, folder: Path, run: Run) -> List[Outcome]:
    """Run the commands of a case in its folder, with what goes before each."""
    if case.prepare:
        case.prepare(folder)
    outcomes = []
    for step in case.steps:
        if step.prepare:
            step.prepare(folder)
        outcomes.append(run(step, folder))
    return outcomes


def faults(case: Case, folder: Path, outcomes: Sequence[Outcome]) -> List[str]:
    """Return what is not as the table says, in words."""
    found = []
    for step, outcome in zip(case.steps, outcomes):
        wrong = [f"no {text!r}" for text in step.texts if text not in outcome.output]
        wrong += [f"the file {name} exists" for name in step.absent if (folder / name).exists()]
        if outcome.status != step.status:
            wrong.append(f"exit status {outcome.status} instead of {step.status}")
        if "Traceback" in outcome.output:
            wrong.append("a traceback")
        if wrong:
            found.append(f"{case.name}: {step.command}: {'; '.join(wrong)}\n{outcome.output}")
    return found


# ---------------------------------------------------------------------------------------------
# Writing

_WORDS = {
    "title": ("Error messages", "错误信息"),
    "intro": (
        "What bad input gets, as a user sees it. Every message below was printed by a real process; "
        "`scripts/error_messages.py` makes this page anew, and `tests/test_error_messages.py` checks "
        "that each case still gives its message and exit status. The commands run in a folder that "
        f"holds this clone's `tools` and `deploy`; the pages call it `{SHOWN_FOLDER}`.",
        "错误输入会得到什么，以用户所见为准。下面的每条信息都由真实的进程打印；`scripts/error_messages.py` 重新生成本页，"
        "`tests/test_error_messages.py` 检查每种情况仍然给出同样的信息和退出状态。程序的信息是英文的。命令在一个含有 "
        f"`tools` 和 `deploy` 的文件夹中运行，本页称它为 `{SHOWN_FOLDER}`。",
    ),
    "statuses": (
        "Exit status: 0 done; 1 the input or the run failed; 2 the command line, the configuration or "
        "the surroundings (device, output folder) are wrong; 130 stopped by Ctrl-C.",
        "退出状态：0 完成；1 输入或运行失败；2 命令行、配置或环境（设备、输出文件夹）有误；130 被 Ctrl-C 停止。",
    ),
    "recipe": (
        "All cases start from this file, `recipe.yaml`, which is right, and from 120 images of four "
        "handwritten digits (`digits`). Its lines are numbered because the messages name them.",
        "所有情况都从这个正确的文件 `recipe.yaml` 和四类手写数字的 120 张图像（`digits`）出发。行号列出是因为信息会提到它们。",
    ),
    "status": ("Exit status: {}", "退出状态：{}"),
}


def page(language: int, outcomes: Dict[str, List[Outcome]]) -> str:
    """Return the page in one language, by its place in `LANGUAGES`."""
    words = {key: texts[language] for key, texts in _WORDS.items()}
    numbered = "".join(f"{i:2d}  {line}\n" for i, line in enumerate(RECIPE.splitlines(), 1))
    parts = [f"# {words['title']}", words["intro"], words["statuses"], words["recipe"]]
    parts += [f"```text\n{numbered}```"]
    for title, cases in SECTIONS:
        parts.append(f"## {title[language]}")
        for case in cases:
            parts += [f"### {case.title[language]}", case.story[language]]
            for step, outcome in zip(case.steps, outcomes[case.name]):
                text = re.sub(r"[ \t]+\n", "\n", outcome.output).strip("\n")
                parts.append(f"```console\n$ {step.command}\n{text}\n```")
                parts.append(words["status"].format(outcome.status))
    return "\n\n".join(parts) + "\n"


def page_path(language: str) -> Path:
    """Return the file of the page in a language."""
    return ROOT / "docs" / language / "error_messages.md"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run every case and write the pages, or only show the cases that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="CASE", help="only show these cases")
    wanted = parser.parse_args(arguments).names
    wrong: List[str] = []
    found: Dict[str, List[Outcome]] = {}
    with tempfile.TemporaryDirectory() as name:
        processes = Processes(Path(name) / "programs")
        starts = Starts(Path(name) / "starts", processes.run)
        for case in CASES:
            if wanted and case.name not in wanted:
                continue
            folder = Path(name) / case.name
            starts.copy(case.start, folder)
            found[case.name] = play(case, folder, processes.run)
            wrong += faults(case, folder, found[case.name])
            if wanted:
                show(case, found[case.name])
            shutil.rmtree(folder)
    print("\n".join(wrong), file=sys.stderr)
    if not wanted and not wrong:
        for i, language in enumerate(LANGUAGES):
            page_path(language).parent.mkdir(parents=True, exist_ok=True)
            page_path(language).write_text(page(i, found), encoding="utf-8")
            print(f"wrote {page_path(language).relative_to(ROOT)}: {len(CASES)} cases")
    return int(bool(wrong))


def show(case: Case, outcomes: Sequence[Outcome]) -> None:
    """Print what a case gives."""
    print(f"=== {case.name}: {case.story[0]}")
    for step, outcome in zip(case.steps, outcomes):
        print(f"$ {step.command}\n{outcome.output}[{outcome.status}]")


if __name__ == "__main__":
    sys.exit(main())
