"""``ppcls.load``: a run, a bundle or published weights, ready to predict."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence, Union

from ppcls.config import load_config
from ppcls.errors import UsageError, did_you_mean
from ppcls.inference.description import CONFIG_NAME
from ppcls.inference.predictor import Classifier, Predictor, refuse_below_one
from ppcls.own_parts import import_parts
from ppcls.weights.hub.records import record_names


def load(
    source: Union[str, Path],
    imports: Sequence[str] = (),
    device: str = "auto",
    batch_size: int = 8,
    topk: Optional[int] = None,
) -> Classifier:
    """Open what predicts: call the result with an image, and it returns its `Prediction`, or with
    many, and it yields one for each.

    Args:
        source: the folder of a run (its best model is used, else its newest checkpoint), the folder
            of an exported bundle, or the name of published weights (`ppcls weights list`).
        imports: files or packages with the run's own parts, which are run; what the run's
            `config.yaml` names itself is not imported, as it may be a stranger's.
        device: auto (a GPU where there is one), cpu, gpu or gpu:N.
        batch_size: images per step.
        topk: classes per prediction; None means what the run or bundle says, else 5.

    Raises:
        UsageError: there is no such run, bundle or name; or the device is not there.
        BundleError: the bundle is damaged.
        CheckpointError: the run has no trained weights, or they do not fit.
        ConfigError: the run's configuration needs parts that have not been imported.
    """
    refuse_below_one(batch_size=batch_size, topk=topk)
    import_parts(imports)
    folder = Path(source)
    if (folder / CONFIG_NAME).is_file():
        return Predictor(folder, device=device, batch_size=batch_size, topk=topk)
    if (folder / "config.yaml").is_file():
        return _of_run(folder, device, batch_size, topk)
    name = str(source)
    if name in record_names():
        from ppcls.api.published import published_classifier

        return published_classifier(name, device, batch_size, topk)
    raise UsageError(_nothing(folder, name))


def _of_run(folder: Path, device: str, batch_size: int, topk: Optional[int]) -> Classifier:
    from ppcls.api.infer import trained_classifier

    config = load_config(str(folder / "config.yaml"), trusted=False)
    # The folder may have been moved since.
    config.Global.output_dir, config.Global.device = str(folder), device
    config.Infer.batch_size = batch_size
    return trained_classifier(config, topk)


def _nothing(folder: Path, name: str) -> str:
    accepted = (
        "ppcls.load takes the folder of a run (with config.yaml), the folder of an exported bundle "
        f"(with {CONFIG_NAME}), or the name of published weights ('ppcls weights list')"
    )
    if folder.is_dir():
        return f"'{name}' is neither a run nor a bundle. {accepted}"
    if folder.exists():
        return f"'{name}' is a file; weights alone do not say how images are prepared. {accepted}"
    return f"there is no '{name}'.{did_you_mean(name, record_names())} {accepted}"
