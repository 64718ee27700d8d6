"""What was trained with what, in words that are the same in every language."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Any, Dict, Optional

import paddle

from ppcls import __version__, runtime
from ppcls.arch.summary import count_parameters
from ppcls.config import Config
from ppcls.engine.loggers.console import describe_metrics
from ppcls.engine.run_folder import RunFolder
from ppcls.engine.trained import Trained
from ppcls.files import read_regular

_TRAINED = re.compile(r"trained \d+ epochs \(\d+ steps\) in ([\d.]+) s")
_LONGEST_LOG = 1 << 28


def summary_of(config: Config, trained: Trained, folder: Optional[RunFolder]) -> Dict[str, str]:
    """Return the rows of the summary by their keys; what is unknown is left out."""
    rows = {
        "network": f"{trained.network.model_name}, {count_parameters(trained.network):,}",
        "weights": str(trained.path),
        "trained_for": _trained_for(trained.metadata),
        "metrics": describe_metrics(trained.metadata.get("metrics", {})),
        "started_from": _start(config),
        "image_size": _image_size(trained, config),
        "optimizer": _optimizer(config),
        "batch_size": _batch_size(config),
        "seconds": _seconds(folder.log) if folder else "",
        "machine": f"{runtime.cpu_model()}, {runtime.available_cores()} cores, "
        f"{paddle.device.get_device()}",
        "versions": f"ppcls {__version__}, Paddle {paddle.__version__}, "
        f"Python {platform.python_version()}",
    }
    return {key: value for key, value in rows.items() if value}


def _trained_for(metadata: Dict[str, Any]) -> str:
    if "epoch" not in metadata:
        return ""
    return f"{metadata['epoch']} / {metadata.get('step', '?')}"


def _start(config: Config) -> str:
    given = config.Global.pretrained_model or config.Arch.pretrained
    return "ImageNet" if given is True else str(given or "")


def _image_size(trained: Trained, config: Config) -> str:
    from ppcls.engine.trained import eval_transform

    size = eval_transform(config).output_size
    return f"{trained.network.in_channels} x {size[0]} x {size[1]}" if size else ""


def _optimizer(config: Config) -> str:
    part = config.Optimizer
    if part is None:
        return ""
    schedule: Any = part.arguments.get("lr")
    rate = getattr(schedule, "arguments", {}).get("learning_rate", schedule)
    return f"{part.name}, {getattr(schedule, 'name', '')} {rate}".strip()


def _batch_size(config: Config) -> str:
    section = config.DataLoader.Train
    return str(section.sampler.arguments.get("batch_size", "")) if section else ""


def _seconds(log: Path) -> str:
    """Return how long training took in all, which the log says at the end of each start."""
    try:
        text = read_regular(log, _LONGEST_LOG).decode("utf-8", errors="replace")
    except OSError:
        return ""
    found = [float(seconds) for seconds in _TRAINED.findall(text)]
    return f"{sum(found):.0f}" if found else ""
