"""From a checked configuration to the objects of a job, and whether they fit each other."""

from __future__ import annotations

import logging
from dataclasses import fields
from pathlib import Path
from typing import Any, Callable, List, Optional, Tuple

import paddle
from paddle import nn

from ppcls import runtime, weights
from ppcls.arch import build as build_network_part
from ppcls.arch.acceleration import accelerate_on
from ppcls.arch.freezing import freeze, freeze_statistics
from ppcls.arch.network import Network
from ppcls.arch.plain import accepted_sizes, check_logits
from ppcls.arch.pooled_features import FeatureTap
from ppcls.config import Config, require
from ppcls.config.schema import AmpSection, LoaderSection, SplitSection
from ppcls.data.cache import ImageCache
from ppcls.data.dataset import ClassMap
from ppcls.data.loader import DataLoader
from ppcls.data.outage import Patience
from ppcls.data.transforms import Pipeline
from ppcls.engine.amp import Precision, possible
from ppcls.engine.ema import AveragedWeights, ExponentialMovingAverage
from ppcls.engine.job import Job, TrainSettings
from ppcls.engine.label_kinds import check_kind_is_expected, check_labels_fit
from ppcls.engine.metric_parts import build_eval_metrics, eval_metric_parts, train_metric_parts
from ppcls.engine.progressive import progress_dropout
from ppcls.engine.selection import ModelSelection
from ppcls.engine.statistics import PreciseStatistics, normalising
from ppcls.engine.swa import StochasticWeightAverage, first_averaged, with_constant_end
from ppcls.engine.teacher import Teacher, build_teacher
from ppcls.engine.world import World
from ppcls.errors import ConfigError, did_you_mean
from ppcls.kernels.choice import Choices
from ppcls.loss import CombinedLoss, TrainClasses
from ppcls.metric import CombinedMetric
from ppcls.progress import waiting
from ppcls.registry import Part
from ppcls.weights.hub.published import network_weights

Key = Tuple[str, str]
"""A section and a key of it."""

_NOT_FOR_EVALUATION = {
    "RASampler": "and RASampler repeats some",
    "MultiScaleSampler": "in one size, and MultiScaleSampler has several",
}

_log = logging.getLogger("ppcls")


@waiting("reading the data sets and building the network")
def build_job(config: Config, device: str, world: World) -> Job:
    """Build all that training needs, and check that the parts fit each other.

    This is where a configuration ends: what comes after takes the typed parts of the job.

    Raises:
        ConfigError: sections are missing or contradict each other.
        DataError: the data set is missing, empty or malformed.
    """
    require(config, "DataLoader.Train", "Optimizer", "Loss.Train")
    train = _build_train(config, world)
    class_map = train.dataset.class_map
    check_kind_is_expected(config, train.dataset.label_kind)
    evaluation = build_eval(config, class_map, world) if config.DataLoader.Eval else None
    runtime.seed_everything(config.Global.seed)
    network = build_network(config, len(class_map), train.dataset.transform)
    _load_start(config, network)
    _freeze(config, network)
    for name, loader in (("Train", train), ("Eval", evaluation)):
        for stage in _stages(config, loader, name):
            check_images_fit(config, network, stage, name)
    _check_labels(config, "Train", train)
    judged = (evaluation or train).dataset.label_kind
    eval_metrics = build_eval_metrics(config, len(class_map), judged)
    metrics = train_metric_parts(config, train.label_kind)
    choices = Choices()
    teacher = _teacher(config, class_map, train.dataset.transform.channels, device, choices)
    with config.naming("Loss"):
        classes = TrainClasses.of(class_map.names, train.dataset.labels)
        loss = CombinedLoss(config.Loss.Train or [], network.aux_weight, classes, teacher)
        if teacher and loss.needs_features:
            loss.features = _features_of_both(config, network, teacher)
        eval_loss = CombinedLoss(config.Loss.Eval) if config.Loss.Eval else None
    if teacher and not loss.learns_from_teacher:
        raise ConfigError(
            f"{config.where('Teacher')}: no loss of Loss.Train learns from it; add "
            "'- DistillationLoss: {}' or another loss that does there, or remove this section"
        )
    amp = possible(config.AMP, device, _bfloat16_obstacle(config))
    return Job(
        device=device,
        kernels=use_kernels(config, network, device, amp, choices),
        network=network,
        class_map=class_map,
        train=train,
        eval=evaluation,
        loss=loss,
        eval_loss=eval_loss,
        metrics=CombinedMetric(metrics, class_num=len(class_map)),
        eval_metrics=eval_metrics,
        optimizer=_build_optimizer(config, network, len(train)),
        selection=model_selection(config, eval_metrics),
        precision=Precision(amp, device),
        ema=_average(config, network, train),
        settings=_settings(config, network, train),
        config=config.data,
    )


def _average(config: Config, network: Network, train: DataLoader) -> Optional[AveragedWeights]:
    """Return the average of the weights that is wanted, if one is.

    Raises:
        ConfigError: two are, or the keys do not fit each other or the network.
    """
    batches = config.Global.precise_bn
    if config.SWA and batches:
        raise ConfigError(
            f"{config.where('Global', 'precise_bn')}: the section SWA takes statistics of its own, "
            f"from SWA.batches batches; say it there, and remove this key"
        )
    if config.EMA and config.SWA:
        raise ConfigError(
            f"{config.where('SWA')}: the section EMA averages weights too, and one average is what "
            "evaluation uses; remove one, such as with -o EMA=null"
        )
    if batches and config.EMA and config.EMA.keep_better:
        raise ConfigError(
            f"{config.where('Global', 'precise_bn')}: EMA.keep_better compares averaged weights "
            "with those whose statistics training leaves; remove one of both keys"
        )
    precise = PreciseStatistics(train, batches) if batches else None
    if precise and not normalising(network):
        raise ConfigError(
            f"{config.where('Global', 'precise_bn')}: the network has no batch normalisation whose "
            "statistics training changes; remove this key"
        )
    if config.EMA:
        return ExponentialMovingAverage(network, **config.EMA.model_dump(), statistics=precise)
    if config.SWA:
        epochs, updates = config.Global.epochs, -(-len(train) // config.Global.update_freq)
        begin = first_averaged(config.SWA.start, epochs)
        statistics = PreciseStatistics(train, config.SWA.batches)
        return StochasticWeightAverage(network, begin, updates, statistics)
    if precise:
        # The average that forgets at once: the weights themselves, with other statistics.
        return ExponentialMovingAverage(network, 0.0, ramp=False, statistics=precise)
    return None


def _teacher(
    config: Config, class_map: ClassMap, channels: int, device: str, choices: Choices
) -> Optional[Teacher]:
    """Build the network to learn from, if there is one."""
    if config.Teacher is None:
        return None
    teacher = build_teacher(config, class_map, channels)
    use_kernels(config, teacher.network, device, choices=choices)
    _log.info("teacher: %s, %s", config.Teacher.part.name, teacher.path)
    return teacher


def _features_of_both(
    config: Config, network: Network, teacher: Teacher
) -> Callable[[], Tuple[paddle.Tensor, paddle.Tensor]]:
    """Return what gives the features that both networks made of the newest batch.

    Raises:
        ConfigError: one of them does not end with a fully connected layer.
    """
    try:
        own, known = FeatureTap(network), FeatureTap(teacher.network)
    except ValueError as error:
        raise ConfigError(
            f"{config.where('Loss', 'Train')}: RKDLoss compares what goes into last layers, and "
            f"{error}; take another network, or DistillationLoss"
        ) from None
    return lambda: (own.take(), known.take())


def _stages(config: Config, loader: Optional[DataLoader], name: str) -> List[Pipeline]:
    """Return the transforms of every size that images of "Train" or "Eval" come in.

    Raises:
        ConfigError: the ops do not fit each other in a later stage of training.
    """
    with config.naming("DataLoader", name, "dataset", "transform_ops"):
        return loader.pipelines() if loader else []


def _settings(config: Config, network: Network, train: DataLoader) -> TrainSettings:
    """Return the keys of `Global` that concern the training loop."""
    found = {item.name: getattr(config.Global, item.name) for item in fields(TrainSettings)}
    return TrainSettings(**{**found, "progress_dropout": progress_dropout(config, network, train)})


def _check_labels(config: Config, name: str, loader: DataLoader) -> None:
    """Check that every loss and metric of "Train" or "Eval" takes the kind of labels that the
    loader gives.

    Raises:
        ConfigError: one does not; the message names its place and what would be right.
    """
    usual = eval_metric_parts(config, loader.dataset.label_kind)
    metrics = usual if name == "Eval" else config.Metric.Train
    parts = {"Loss": getattr(config.Loss, name), "Metric": metrics}
    places = {
        config.where(section, name, i): part
        for section, found in parts.items()
        for i, part in enumerate(found or [])
    }
    with config.naming("DataLoader", name, "batch_transform_ops"):
        labels = loader.label_kind
    ops = [type(op).__name__ for op in loader.batch_transforms]
    check_labels_fit(labels, " after ".join([f"DataLoader.{name}", *ops]), places)


def _build_optimizer(config: Config, network: Any, batches: int) -> Any:
    assert config.Optimizer is not None
    updates = -(-batches // config.Global.update_freq)
    with config.naming("Optimizer"):
        optimizer = config.Optimizer.build(
            model=network, epochs=config.Global.epochs, steps_per_epoch=updates
        )
    optimizer.schedule = with_constant_end(config, optimizer.schedule)
    settings = config.Global
    late = settings.start_eval_epoch >= settings.epochs > 1
    evaluates = config.DataLoader.Eval and settings.eval_during_train and not late
    if optimizer.schedule.learns_from_evaluation and not evaluates:
        raise ConfigError(
            f"{config.where('Optimizer', 'lr', 'name')}: {type(optimizer.schedule).__name__} waits "
            "for evaluations, and there are none before the end; give DataLoader.Eval, leave "
            "Global.eval_during_train true and Global.start_eval_epoch below Global.epochs, or "
            "take a schedule of the steps alone, such as Cosine"
        )
    return optimizer


def build_eval(config: Config, class_map: ClassMap, world: World) -> DataLoader:
    """Build DataLoader.Eval, whose classes are known; `world` shares it.

    Raises:
        ConfigError: images would be left out or mixed, so that the metrics would not be those of
            the set; or a loss or metric does not take the labels.
        DataError: see the data set's class; the message begins with the place in the configuration.
    """
    assert config.DataLoader.Eval is not None
    if config.DataLoader.Eval.sampler.arguments.get("drop_last"):
        where = config.where("DataLoader", "Eval", "sampler", "drop_last")
        raise ConfigError(
            f"{where}: evaluation judges every image, and this leaves out those of the last batch; "
            "set it to False"
        )
    reason = _NOT_FOR_EVALUATION.get(config.DataLoader.Eval.sampler.name)
    if reason:
        raise ConfigError(
            f"{config.where('DataLoader', 'Eval', 'sampler')}: evaluation judges every image once, "
            f"{reason}; take DistributedBatchSampler"
        )
    if config.DataLoader.Eval.batch_transform_ops:
        where = config.where("DataLoader", "Eval", "batch_transform_ops")
        raise ConfigError(f"{where}: evaluation judges images as they are; remove this list")
    with config.naming("DataLoader", "Eval"):
        loader = _build_loader(config.DataLoader.Eval, config.Global.seed, world, class_map)
    _check_labels(config, "Eval", loader)
    if loader.dataset.transform.is_random:
        _log.warning(
            "%s is random: metrics are those of changed images",
            config.where("DataLoader", "Eval", "dataset", "transform_ops"),
        )
    return loader


def _build_train(config: Config, world: World) -> DataLoader:
    section = config.DataLoader.Train
    assert section is not None
    names = class_map_of_files(config)
    class_num = config.Arch.part.arguments.get("class_num")
    with config.naming("DataLoader", "Train"):
        epochs = max(1, config.Global.epochs)
        loader = _build_loader(section, config.Global.seed, world, names, class_num, epochs)
    found = len(loader.dataset.class_map)
    if class_num is not None and found != class_num:
        raise ConfigError(
            f"{config.where('Arch', 'class_num')} is {class_num}, but the training set has {found} "
            f"classes. Use -o Arch.class_num={found}, or leave class_num out: it then follows from "
            "the data"
        )
    return loader


def _build_loader(
    section: SplitSection,
    seed: int,
    world: World,
    class_map: Optional[ClassMap],
    class_num: Optional[int] = None,
    epochs: int = 1,
) -> DataLoader:
    """Build one data set, its sampler, which shares it among the processes, and its loader.

    Raises:
        DataError: see the data set's class.
    """
    dataset = section.dataset.build(class_map=class_map, class_num=class_num)
    sampler = section.sampler.build(
        length=len(dataset), seed=seed, rank=world.rank, world_size=world.size
    )
    loader = section.loader
    ops = [part.build(class_num=len(dataset.class_map)) for part in section.batch_transform_ops]
    return DataLoader(
        dataset,
        sampler,
        loader.num_workers,
        seed,
        loader.prefetch,
        ops,
        Patience(loader.outage_patience),
        _cache(loader),
        isolate=loader.isolate,
        epochs=epochs,
    )


def _cache(section: LoaderSection) -> Optional[ImageCache]:
    if section.cache is None:
        return None
    return ImageCache(int(section.cache_gib * 2**30), section.cache == "pixels")


def class_map_of_files(config: Config) -> Optional[ClassMap]:
    """Return the class names of the label file that the configuration names, if it does and the
    file is there.

    Raises:
        DataError: it is malformed, or `Global.class_id_map_file` is missing.
        ConfigError: its number of classes is not `Arch.class_num`.
    """
    path, key = config.Global.class_id_map_file, ["Global", "class_id_map_file"]
    if not path:
        path, key = _postprocess_file(config), ["Infer", "PostProcess", "class_id_map_file"]
    if path is None:
        return None
    with config.naming(*key):
        class_map = ClassMap.from_label_file(path)
    class_num = config.Arch.part.arguments.get("class_num", len(class_map))
    if len(class_map) != class_num:
        raise ConfigError(
            f"{config.where('Arch', 'class_num')} is {class_num}, but the label file {path} names "
            f"{len(class_map)} classes ({config.where(*key)})"
        )
    return class_map


def _postprocess_file(config: Config) -> Optional[str]:
    """Return the label file that PaddleClas' recipes name in Infer.PostProcess, if it is there."""
    part = config.Infer.PostProcess
    path: Optional[str] = part.arguments.get("class_id_map_file") if part else None
    if path is None or Path(path).is_file():
        return path
    _log.warning(
        "%s: there is no file %s, so classes are called by their numbers or folders",
        config.where("Infer", "PostProcess", "class_id_map_file"),
        path,
    )
    return None


def build_network(config: Config, class_num: int, transform: Pipeline) -> Network:
    """Build the network with the given number of classes and the channels that the images have; its
    weights are drawn at random.

    Raises:
        ConfigError: the configuration says otherwise, or the network's arguments make no sense.
    """
    given = config.Arch.part.arguments
    channels = given.get("in_channels", transform.channels)
    if channels != transform.channels:
        raise ConfigError(
            f"{config.where('Arch', 'in_channels')} is {channels}, but the transforms give images "
            f"of {transform.channels} channel(s) (DecodeImage.channel_num)"
        )
    sizes = {"class_num": class_num, "in_channels": channels}
    arguments = {**given, **accepted_sizes(config.Arch.name, **sizes)}
    with config.naming("Arch"):
        network = build_network_part(Part("arch", config.Arch.name, arguments))
    network.class_num, network.in_channels = class_num, channels
    return network


def named_weights(config: Config) -> Optional[Key]:
    """Return the key that says which weights to start from, if one does.

    `Global.pretrained_model` goes before `Arch.pretrained`, unless only that is given with -o.
    """
    keys: List[Key] = [("Global", "pretrained_model"), ("Arch", "pretrained")]
    given = [key for key in keys if getattr(getattr(config, key[0]), key[1])]
    return min(given, key=lambda key: not config.is_override(*key), default=None)


def weights_file(config: Config, key: Key) -> Path:
    """Return the file that `key` means; for true that of the network's published weights, which is
    fetched if need be.

    Raises:
        UsageError: no weights of this network are published.
        DownloadError: they cannot be had.
    """
    wanted = getattr(getattr(config, key[0]), key[1])
    if wanted is not True:
        return Path(wanted)
    with config.naming(*key):
        return network_weights(config.Arch.name)


def _load_start(config: Config, network: Network) -> None:
    """Start from the weights that the configuration names, if any.

    Those of `Arch.pretrained` are adapted to the classes and channels of the network; those of
    `Global.pretrained_model` must fit. With `Global.partial` either loads what fits.

    Raises:
        PpclsError: there are no such weights, or they do not fit.
    """
    key = named_weights(config)
    if key is None:
        return
    path = weights_file(config, key)
    adapts = key == ("Arch", "pretrained")
    fit = "partial" if config.Global.partial else "adapt" if adapts else "exact"
    report = weights.load(network, path, fit)
    found = report.describe()
    if fit == "adapt":
        found = "; ".join(report.adapted) or "all of the network's arrays match"
    _log.info("started from %s: %s", path, found)


def _freeze(config: Config, network: Network) -> None:
    """Keep what the configuration says as it is in training.

    Raises:
        ConfigError: the network has no such stages.
    """
    section = config.Arch
    if section.freeze is not None:
        with config.naming("Arch", "freeze"):
            names = freeze(network, section.freeze)
        _log.info("frozen: %s", ", ".join(names))
    if section.freeze_statistics:
        with config.naming("Arch", "freeze_statistics"):
            freeze_statistics(network)


def _bfloat16_obstacle(config: Config) -> str:
    """Return why the operators that are asked for do not compute in bfloat16 on a CPU; empty if
    they do.
    """
    if config.Global.cpu_kernels != "paddle":
        return ""
    where = config.where("Global", "cpu_kernels")
    return f"{where} is paddle, which computes in float32 there: with AMP it is auto or measured"


def use_kernels(
    config: Config,
    network: nn.Layer,
    device: str,
    amp: Optional[AmpSection] = None,
    choices: Optional[Choices] = None,
) -> str:
    """Let a network compute by the operators that the configuration asks for, and return which
    these are, for the log.

    Args:
        config: `Global.cpu_kernels` decides.
        network: changed in place.
        device: "cpu" or "gpu:N".
        amp: mixed precision, where the network is to be trained with it.
        choices: those of another network of the same job, where operators are measured.
    """
    if device == "cpu" and config.Global.cpu_kernels == "paddle":
        return "Paddle"
    wanted = (choices or Choices()) if config.Global.cpu_kernels == "measured" else None
    found = accelerate_on(device, network, amp.dtype if amp else "float32", wanted)
    return f"{found}; convolutions are trained in {amp.dtype}" if amp and device == "cpu" else found


def check_images_fit(config: Config, network: Network, transform: Pipeline, name: str) -> None:
    """Check that every image of "Train" or "Eval" has one size, and that the network can take it.

    Raises:
        ConfigError: it cannot; the message says which sizes are possible.
    """
    size, key = transform.output_size, ["DataLoader", name, "dataset", "transform_ops"]
    if size is None:
        raise ConfigError(
            f"{config.where(*key)}: images of different sizes come out of this list; end it with "
            "CropImage, RandCropImage or ResizeImage: {size: ...}"
        )
    if min(size) < network.min_input_size:
        raise ConfigError(
            f"{config.where(*key)} gives images of {size[0]}x{size[1]} pixels; "
            f"{network.model_name} needs at least "
            f"{network.min_input_size}x{network.min_input_size}, and was designed for "
            f"{network.input_size}"
        )
    wanted, given = config.Global.image_shape, [transform.channels, *size]
    if wanted and name == "Eval" and wanted != given:
        raise ConfigError(
            f"{config.where('Global', 'image_shape')} is {wanted}, but {'.'.join(key)} gives "
            f"{given}"
        )
    with config.naming("Arch"):
        check_logits(network, given, network.class_num)


def model_selection(config: Config, metrics: CombinedMetric) -> ModelSelection:
    """Return how the best model is told from the others, and when training stops early."""
    name, early = _best_metric(config, metrics), config.Global.early_stop
    return ModelSelection(
        name,
        higher_is_better=name != "loss" and metrics.higher_is_better(name),
        patience=early.patience if early else None,
        min_delta=early.min_delta if early else 0.0,
        start_margin=config.Global.start_margin,
    )


def _best_metric(config: Config, metrics: CombinedMetric) -> str:
    possible: List[str] = [*metrics.names, *(["loss"] if config.Loss.Eval else [])]
    wanted = config.Global.best_metric
    if wanted is None:
        return metrics.names[0]
    if wanted not in possible:
        raise ConfigError(
            f"{config.where('Global', 'best_metric')}: unknown metric "
            f"'{wanted}'.{did_you_mean(wanted, possible)} Measured in evaluation: "
            f"{', '.join(possible)}"
        )
    return wanted
