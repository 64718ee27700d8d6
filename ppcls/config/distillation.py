"""PaddleClas' `DistillationModel`, several networks in `Arch`, in the words of this toolkit: one
network that learns, and its teacher.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from ppcls.config.document import Document
from ppcls.config.schema import describe

_NAME = "DistillationModel"
_SAME = {
    "DistillationDKDLoss": "DKDLoss",
    "DistillationDISTLoss": "DISTLoss",
    "DistillationWSLLoss": "WSLLoss",
}
"""Losses there whose arguments mean the same here."""

_OF_PAIRS = ("model_name_pairs", "key", "name")
"""Arguments of losses there that say which outputs of which networks are compared."""

_OF_PADDLECLAS = ("use_ssld",)
"""Arguments of a network there that say where its weights come from."""


def translate_distillation(document: Document) -> Tuple[List[str], List[str]]:
    """Rewrite a document whose network is a `DistillationModel`, where that is possible.

    A teacher is the one network that is frozen, and the network that learns the other one.
    `DistillationCELoss` and `DistillationKLDivLoss` become `DistillationLoss`,
    `DistillationDMLLoss` a symmetric one, `DistillationDKDLoss`, `DistillationDISTLoss` and
    `DistillationWSLLoss` the same without the first word, `DistillationGTCELoss` `CELoss`,
    `DistillationTopkAcc` `TopkAcc`, and `DistillationPostProcess` `Topk`.

    Returns:
        What was read otherwise than it is written, and what is not possible here, each a sentence
        with its place.
    """
    arch = document.data.get("Arch")
    if not isinstance(arch, dict) or arch.get("name") != _NAME:
        return [], []
    where = describe(document, ("Arch",))
    found = _teacher_and_student(arch)
    if found is None:
        return [], [
            f"{where}: of a {_NAME}, one network is to be frozen (freeze_params_list: [True, "
            "False]) and one to learn; networks that learn from each other are not possible here"
        ]
    (teacher_name, teacher), (student_name, student) = found
    classes = arch.get("class_num", student.get("class_num"))
    document.data["Arch"] = student
    document.data["Teacher"] = {"pretrained": True, **teacher}
    _translate_losses(document.data, classes)
    _translate_metrics(document.data)
    _translate_postprocess(document.data)
    note = (
        f"{where}: a {_NAME} is read as Arch, the network that learns ({student_name}: "
        f"{student.get('name')}), and Teacher ({teacher_name}: {teacher.get('name')}); its losses "
        "and metrics are read as those of Arch"
    )
    return [note], []


_Named = Tuple[str, Dict[str, Any]]


def _teacher_and_student(arch: Dict[str, Any]) -> Optional[Tuple[_Named, _Named]]:
    """Return the name and arguments of the frozen network and of the other one, if there are just
    these.
    """
    models = _list_of(arch.get("models"), dict, 2)
    frozen = _list_of(arch.get("freeze_params_list"), bool, 2)
    if not models or frozen.count(True) != 1 or any(len(model) != 1 for model in models):
        return None
    files = arch.get("pretrained_list") or [None, None]
    named = []
    for model, file in zip(models, files):
        ((name, arguments),) = model.items()
        if not isinstance(arguments, dict):
            return None
        given = {key: value for key, value in arguments.items() if key not in _OF_PADDLECLAS}
        if "dropout_prob" in given:
            # Null drops nothing there.
            given["dropout"] = given.pop("dropout_prob") or 0.0
        if "class_num" in arch:
            given.setdefault("class_num", arch["class_num"])
        if file is not None:
            given["pretrained"] = file
        named.append((str(name), given))
    teacher = frozen.index(True)
    return named[teacher], named[1 - teacher]


def _list_of(value: Any, kind: type, count: int) -> List[Any]:
    """Return a list of so many things of a kind; an empty one where it is none."""
    is_such = isinstance(value, list) and all(isinstance(item, kind) for item in value)
    return value if is_such and len(value) == count else []


def _translate_losses(data: Dict[str, Any], classes: Any) -> None:
    for losses in _lists(data, "Loss"):
        for i, loss in enumerate(losses):
            name, arguments = _only(loss)
            taken = ("weight", "epsilon")
            kept: Dict[str, Any] = {key: arguments[key] for key in taken if key in arguments}
            if name == "DistillationGTCELoss":
                losses[i] = {"CELoss": kept}
            elif name in ("DistillationCELoss", "DistillationKLDivLoss"):
                kept.pop("epsilon", None)
                if name == "DistillationKLDivLoss":
                    kept["temperature"] = arguments.get("temperature", 4.0)
                losses[i] = {"DistillationLoss": kept}
            elif name == "DistillationDMLLoss":
                losses[i] = {"DistillationLoss": _mutual(arguments, classes)}
            elif name in _SAME:
                losses[i] = {_SAME[name]: _without_off(arguments)}


def _without_off(arguments: Dict[str, Any]) -> Dict[str, Any]:
    """Return the arguments that say more than which networks are compared."""
    found = {key: value for key, value in arguments.items() if key not in _OF_PAIRS}
    if found.get("use_target_as_gt") is False:
        del found["use_target_as_gt"]
    return found


def _mutual(arguments: Dict[str, Any], classes: Any) -> Dict[str, Any]:
    """Return the arguments that make `DistillationLoss` the loss of `DistillationDMLLoss`; those
    that it has no word for stay, and are refused with the others that are unknown.
    """
    dropped = (*_OF_PAIRS, "maps_name", "act", "sum_across_class_dim")
    found = {key: value for key, value in arguments.items() if key not in dropped}
    if arguments.get("act", "softmax") != "softmax":
        found["act"] = arguments["act"]
    if arguments.get("sum_across_class_dim") and isinstance(classes, int):
        # There, each class' part is multiplied by the number of classes, and then averaged; or, so,
        # added up.
        found["weight"] = found.get("weight", 1.0) * classes
    return {**found, "symmetric": True}


def _translate_metrics(data: Dict[str, Any]) -> None:
    for metrics in _lists(data, "Metric"):
        for i, metric in enumerate(metrics):
            name, arguments = _only(metric)
            if name == "DistillationTopkAcc":
                kept = {key: arguments[key] for key in ("topk",) if key in arguments}
                metrics[i] = {"TopkAcc": kept}


def _translate_postprocess(data: Dict[str, Any]) -> None:
    infer = data.get("Infer")
    part = infer.get("PostProcess") if isinstance(infer, dict) else None
    if isinstance(part, dict) and part.get("name") == "DistillationPostProcess":
        dropped = ("name", "func", "model_name", "key")
        rest = {key: value for key, value in part.items() if key not in dropped}
        infer["PostProcess"] = {"name": part.get("func", "Topk"), **rest}  # type: ignore[index]


def _lists(data: Dict[str, Any], section: str) -> List[List[Any]]:
    found = data.get(section)
    values = found.values() if isinstance(found, dict) else []
    return [value for value in values if isinstance(value, list)]


def _only(part: Any) -> Tuple[str, Dict[str, Any]]:
    """Return the name and the arguments of a part that is written as ``{Name: {argument: value}}``;
    of another form, no name.
    """
    if not isinstance(part, dict) or len(part) != 1:
        return "", {}
    ((name, arguments),) = part.items()
    return str(name), arguments if isinstance(arguments, dict) else {}
