"""The sections of a configuration file: PaddleClas 2.x's schema, every key typed.

Parts (networks, transforms, losses, ...) are checked against their own signatures, see
`ppcls.registry`.
"""

from __future__ import annotations

import contextlib
import re
from typing import Annotated, Any, Dict, Iterator, List, Literal, Optional, Union

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr

from ppcls.checking import Section, mistake
from ppcls.config.document import Document, KeyPath
from ppcls.errors import PpclsError
from ppcls.registry import Part, PartOf, PartsOf
from ppcls.runtime import DEVICES
from ppcls.text import shortened, shown


def _known_device(value: str) -> str:
    if not re.fullmatch(DEVICES, value):
        accepted = "auto, cpu, gpu, gpu:0, gpu:1, ..."
        raise mistake(f"unknown device {shown(value)}. Accepted: {accepted}")
    return value


def _folder(value: str) -> str:
    if not value:
        raise mistake("takes the name of a folder, got ''; '.' is this one")
    return value


def _zero_if_null(value: Any) -> Any:
    return 0 if value is None else value


Device = Annotated[str, AfterValidator(_known_device)]
Folder = Annotated[str, AfterValidator(_folder)]
PositiveInt = Annotated[int, Field(gt=0)]


class EarlyStop(Section):
    """Stop when the best metric has not improved for `patience` evaluations by more than
    `min_delta`.
    """

    patience: PositiveInt
    min_delta: Annotated[float, Field(ge=0)] = 0.0


class GlobalSection(Section):
    """`Global`: where things are and how long a run lasts."""

    output_dir: Folder = "./output"
    device: Device = "auto"
    cpu_kernels: Literal["auto", "measured", "paddle"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**32), BeforeValidator(_zero_if_null)] = 0
    epochs: Annotated[int, Field(ge=0)] = 1
    max_hours: Optional[Annotated[float, Field(gt=0)]] = None
    print_batch_step: PositiveInt = 10
    checkpoints: Optional[str] = None
    pretrained_model: Optional[str] = None
    partial: bool = False
    save_interval: PositiveInt = 1
    save_steps: Optional[PositiveInt] = None
    keep_checkpoints: PositiveInt = 3
    eval_during_train: bool = True
    eval_interval: PositiveInt = 1
    start_eval_epoch: Annotated[int, Field(ge=0)] = 0
    eval_at_start: bool = False
    start_margin: Annotated[float, Field(ge=0)] = 0.0
    best_metric: Optional[str] = None
    early_stop: Optional[EarlyStop] = None
    update_freq: PositiveInt = 1
    train_mode: Optional[Literal["progressive"]] = None
    progress_dropout: Optional[List[Annotated[float, Field(ge=0, lt=1)]]] = None
    precise_bn: Optional[PositiveInt] = None
    max_bad_samples: Annotated[float, Field(ge=0, le=1)] = 0.01
    use_multilabel: Optional[bool] = None
    class_id_map_file: Optional[str] = None
    use_visualdl: bool = False
    image_shape: Optional[List[PositiveInt]] = None
    save_inference_dir: Optional[str] = None
    model_name: Optional[str] = None
    imports: List[str] = Field(default_factory=list)


class AmpSection(Section):
    """`AMP`: mixed precision: on GPUs, in bfloat16 also on CPUs that have it.

    With `use_amp: false` the section has no effect; with `use_amp: true` a CPU that lacks the
    arithmetic trains in float32 instead of refusing: files of PaddleClas always say one of both.
    """

    use_amp: Optional[bool] = None
    level: Literal["O1", "O2"] = "O1"
    dtype: Literal["float16", "bfloat16"] = "float16"
    scale_loss: Annotated[float, Field(gt=0)] = 32768.0
    use_dynamic_loss_scaling: bool = True


def _none_if_off(value: Any) -> Any:
    return None if isinstance(value, dict) and value.get("use_amp") is False else value


class EmaSection(Section):
    """`EMA`: an exponential moving average of the weights, which is what evaluation and export then
    use. With `keep_better` the weights themselves are evaluated as well while training, and the
    better of both is the one that counts.
    """

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.9999
    ramp: bool = True
    keep_better: bool = False


class SwaSection(Section):
    """`SWA`: the mean of the weights at the ends of the last epochs, which is what evaluation and
    export then use.

    `start` is the fraction of the epochs before those. They are trained at `learning_rate`, to
    which the schedule's rate changes over `anneal_epochs`; null leaves the schedule as it is. The
    statistics of batch normalisation are taken from `batches` batches of training, before each
    evaluation.
    """

    start: Annotated[float, Field(gt=0, lt=1)] = 0.75
    learning_rate: Optional[Annotated[float, Field(gt=0)]] = None
    anneal_epochs: Annotated[float, Field(ge=0)] = 0.0
    batches: Annotated[int, Field(ge=0)] = 100


class TtaSection(Section):
    """`TTA`: test-time augmentation in `ppcls eval`, which then judges the mean of the
    probabilities over several views of each image. Nothing else looks at this section.
    """

    flip: bool = False
    crops: Literal[1, 5] = 1
    scales: Annotated[List[Annotated[float, Field(gt=0)]], Field(min_length=1)] = [1.0]


class ArchSection(Section):
    """`Arch`: the network. What is not a key here is an argument of the network itself.

    `freeze` names the stages that training leaves as they are; with `freeze_statistics` batch
    normalisation keeps its running statistics. See `ppcls.arch.freezing`.
    """

    part: Annotated[Part, PartOf("arch")]
    pretrained: Optional[Union[bool, str]] = False
    freeze: Optional[Union[PositiveInt, Literal["stages"], List[str]]] = None
    freeze_statistics: bool = False

    @property
    def name(self) -> str:
        """The registered name of the network."""
        return self.part.name


class TeacherSection(Section):
    """`Teacher`: a trained network that losses such as `DistillationLoss` let the network of `Arch`
    imitate. What is not a key here is an argument of the network itself.
    """

    part: Annotated[Part, PartOf("arch")]
    pretrained: Union[bool, str] = True


def _split_arch(value: Any) -> Any:
    """Separate the keys that every network has from the arguments of the one that is named."""
    return _split(value, ArchSection)


def _split_teacher(value: Any) -> Any:
    return None if value is None else _split(value, TeacherSection)


def _split(value: Any, section: type[Section]) -> Any:
    if not isinstance(value, dict) or "name" not in value:
        return {"part": value}
    own = {key: value[key] for key in section.model_fields if key in value and key != "part"}
    return {"part": {key: item for key, item in value.items() if key not in own}, **own}


class LossSection(Section):
    """`Loss`: what training minimises and what evaluation reports."""

    Train: Annotated[Optional[List[Part]], PartsOf("loss")] = None
    Eval: Annotated[Optional[List[Part]], PartsOf("loss")] = None


class MetricSection(Section):
    """`Metric`: what is measured while training and while evaluating."""

    Train: Annotated[Optional[List[Part]], PartsOf("metric")] = None
    Eval: Annotated[Optional[List[Part]], PartsOf("metric")] = None


class LoaderSection(Section):
    """`loader`: how samples are read; the number of workers never changes what is read.

    `outage_patience` is how many seconds a data set that was there may be out of reach. `cache`
    keeps files, or the pixels decoded from them, in memory, up to `cache_gib` GiB. `isolate` lets
    the threads read in a process of their own.
    """

    num_workers: Annotated[int, Field(ge=0)] = 2
    prefetch: PositiveInt = 2
    outage_patience: Annotated[float, Field(ge=0)] = 300.0
    cache: Optional[Literal["files", "pixels"]] = None
    cache_gib: Annotated[float, Field(gt=0)] = 4.0
    isolate: bool = False


class SplitSection(Section):
    """`DataLoader.Train` and `DataLoader.Eval`: one set of images and how it is walked through."""

    dataset: Annotated[Part, PartOf("dataset")]
    sampler: Annotated[Part, PartOf("sampler")]
    loader: LoaderSection = Field(default_factory=LoaderSection)
    batch_transform_ops: Annotated[List[Part], PartsOf("batch_transform")] = Field(
        default_factory=list
    )


class DataLoaderSection(Section):
    """`DataLoader`: the images to learn from and those to be judged by."""

    Train: Optional[SplitSection] = None
    Eval: Optional[SplitSection] = None


class InferSection(Section):
    """`Infer`: images to predict, and what to say of them."""

    infer_imgs: Optional[str] = None
    infer_list: Optional[str] = None
    save_dir: Optional[Folder] = None
    batch_size: PositiveInt = 10
    transforms: Annotated[Optional[List[Part]], PartsOf("transform")] = None
    PostProcess: Annotated[Optional[Part], PartOf("postprocess")] = None


USUAL_LOGGERS = ("Console", "JsonLines", "Curves")
"""Those of a configuration that lists none."""


def _usual_loggers() -> List[Part]:
    return [Part("logger", name) for name in USUAL_LOGGERS]


class Config(Section):
    """A checked configuration. Sections are attributes; nothing has been built yet."""

    Global: GlobalSection = Field(default_factory=GlobalSection)
    Arch: Annotated[ArchSection, BeforeValidator(_split_arch)]
    Teacher: Annotated[Optional[TeacherSection], BeforeValidator(_split_teacher)] = None
    AMP: Annotated[Optional[AmpSection], BeforeValidator(_none_if_off)] = None
    EMA: Optional[EmaSection] = None
    SWA: Optional[SwaSection] = None
    TTA: TtaSection = Field(default_factory=TtaSection)
    Loss: LossSection = Field(default_factory=LossSection)
    Optimizer: Annotated[Optional[Part], PartOf("optimizer")] = None
    DataLoader: DataLoaderSection = Field(default_factory=DataLoaderSection)
    Infer: InferSection = Field(default_factory=InferSection)
    Metric: MetricSection = Field(default_factory=MetricSection)
    Loggers: Annotated[List[Part], PartsOf("logger")] = Field(default_factory=_usual_loggers)

    _document: Document = PrivateAttr(default_factory=lambda: Document({}))

    @property
    def data(self) -> Dict[str, Any]:
        """The resolved file as plain data: inheritance and overrides applied."""
        return self._document.data

    def is_override(self, *path: Any) -> bool:
        """Whether a key was given on the command line (-o)."""
        place = self._document.own_place(path)
        return place is not None and place.line is None

    def arguments_at(self, part: Part, *path: Any) -> KeyPath:
        """Return the key path of the arguments of the part that is written at `path`: beside its
        name, or below it.
        """
        value: Any = self.data
        for key in path:
            value = value[key]
        is_below = isinstance(value, dict) and value.keys() == {part.name}
        return (*path, part.name) if is_below else path

    def where(self, *path: Any) -> str:
        """Return ``file:line: a.b.c`` of a key path, for messages; the path itself when it was not
        written.
        """
        return describe(self._document, written_path(path, self._document))

    @contextlib.contextmanager
    def naming(self, *path: Any) -> Iterator[None]:
        """Put `where(*path)` in front of a user's error that the block raises."""
        try:
            yield
        except PpclsError as error:
            text = str(error)
            gap = "\n  " if "\n" in text else " "
            text = text.replace("\n", "\n  ")
            raise type(error)(f"{self.where(*path)}:{gap}{text}") from None


def describe(document: Document, path: KeyPath) -> str:
    """Return ``file:line: a.b.c`` for a key path of a document."""
    dotted = shortened(".".join(map(str, path)))
    place = document.place(path)
    return f"{place}: {dotted}" if place else dotted


def written_path(path: KeyPath, document: Document) -> KeyPath:
    """Return where in the file a key path of the schema stands, whose form differs in some places:
    `Arch.part`, `Teacher.part`, and `batch_transform_ops`, which PaddleClas has inside `dataset`.
    """
    if path[:2] in (("Arch", "part"), ("Teacher", "part")):
        return (path[0], *path[2:])
    if len(path) > 2 and path[0] == "DataLoader" and path[2] == "batch_transform_ops":
        inside = (*path[:2], "dataset", *path[2:])
        return inside if document.own_place(inside[:4]) else path
    return path
