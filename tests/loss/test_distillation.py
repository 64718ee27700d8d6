"""Losses that compare with a teacher, against their formulas, written out."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np
import paddle
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import pearsonr

from ppcls.errors import ConfigError
from ppcls.labels import LabelKind, Labels
from ppcls.loss import CombinedLoss, Loss
from ppcls.registry import as_part

RNG = np.random.default_rng(0)
OWN, KNOWN = RNG.normal(0, 2, [2, 6, 4])
RIGHT = np.array([0, 2, 1, 1, 3, 0])
HARD = Labels(LabelKind.HARD, paddle.to_tensor(RIGHT))
SOFT_ROWS = softmax(RNG.normal(0, 1, [6, 4]), axis=1)
SOFT = Labels(LabelKind.SOFT, paddle.to_tensor(SOFT_ROWS.astype("float32")))


def built(name: str, **arguments: Any) -> Loss:
    loss: Loss = as_part("loss", {name: arguments}).build()
    return loss


def tensor(values: np.ndarray) -> paddle.Tensor:
    return paddle.to_tensor(values.astype("float32"))


def kl(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * np.log(one / other)).sum())


def decoupled(temperature: float) -> Tuple[float, float]:
    """Return the two divergences of the paper, each the mean over images."""
    target, rest = [], []
    for own, known, right in zip(OWN / temperature, KNOWN / temperature, RIGHT):
        p, q = softmax(known), softmax(own)
        target.append(kl(*(np.array([one[right], 1 - one[right]]) for one in (p, q))))
        p, q = (softmax(np.delete(one, right)) for one in (known, own))
        rest.append(kl(p, q))
    return float(np.mean(target)), float(np.mean(rest))


@pytest.mark.parametrize(
    "arguments",
    [{}, {"alpha": 1.0, "beta": 8.0, "temperature": 4.0}, {"weight": 0.5, "alpha": 0.0}],
)
def test_the_decoupled_loss_is_that_of_the_paper(arguments: Dict[str, float]) -> None:
    temperature = arguments.get("temperature", 1.0)
    target, rest = decoupled(temperature)
    total = arguments.get("alpha", 1.0) * target + arguments.get("beta", 1.0) * rest
    expected = arguments.get("weight", 1.0) * temperature**2 * total
    found = built("DKDLoss", **arguments)(tensor(OWN), HARD, tensor(KNOWN))
    assert found.item() == pytest.approx(expected, rel=1e-4) and min(target, rest) > 0.01


def test_the_decoupled_parts_make_the_usual_divergence() -> None:
    """KL = of right and wrong + (1 - the teacher's probability of the right class) of the rest."""
    logits, known = OWN[:1], KNOWN[:1]
    labels = Labels(LabelKind.HARD, paddle.to_tensor(RIGHT[:1]))
    wrong = 1 - softmax(known[0])[RIGHT[0]]
    whole = built("DistillationLoss")(tensor(logits), labels, tensor(known)).item()
    parts = built("DKDLoss", beta=float(wrong))(tensor(logits), labels, tensor(known)).item()
    assert parts == pytest.approx(whole, rel=1e-4)


def test_logits_that_are_sure_stay_finite() -> None:
    sure = np.eye(4)[[0, 1, 2, 3, 0, 1]] * 300
    for name in ("DKDLoss", "DISTLoss", "WSLLoss"):
        logits = tensor(OWN)
        logits.stop_gradient = False
        loss = built(name)(logits, HARD, tensor(sure))
        loss.backward()
        assert np.isfinite(loss.item()) and np.isfinite(logits.grad.numpy()).all()


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_correlations_are_those_of_scipy(temperature: float) -> None:
    own, known = (softmax(one / temperature, axis=1) for one in (OWN, KNOWN))
    images = np.mean([1 - pearsonr(*pair)[0] for pair in zip(own, known)])
    classes = np.mean([1 - pearsonr(*pair)[0] for pair in zip(own.T, known.T)])
    found = built("DISTLoss", weight=2.0, beta=0.5, gamma=3.0, temperature=temperature)
    expected = 2 * temperature**2 * (0.5 * images + 3 * classes)
    assert found(tensor(OWN), SOFT, tensor(KNOWN)).item() == pytest.approx(expected, rel=1e-4)


def test_a_correlation_ignores_how_sure_the_teacher_is() -> None:
    line = np.log(softmax(OWN, axis=1) * 0.2 + 0.2)
    found = built("DISTLoss", gamma=0.0)(tensor(OWN), HARD, tensor(line))
    assert found.item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("labels", "rows"), [(HARD, np.eye(4)[RIGHT]), (SOFT, SOFT_ROWS)])
def test_images_that_the_teacher_knows_better_count_more(labels: Labels, rows: np.ndarray) -> None:
    own, known = (-(rows * log_softmax(one, axis=1)).sum(axis=1) for one in (OWN, KNOWN))
    soft = -(softmax(KNOWN / 2, axis=1) * log_softmax(OWN / 2, axis=1)).sum(axis=1)
    expected = 2.5 * 4 * np.mean((1 - np.exp(-own / known)) * soft)
    logits = tensor(OWN)
    logits.stop_gradient = False
    found = built("WSLLoss", weight=2.5)(logits, labels, tensor(KNOWN))
    assert found.item() == pytest.approx(expected, rel=1e-4)
    found.backward()
    # The weights of images are no way to make the loss small.
    fixed = 1 - np.exp(-own / known)
    soft_rows = softmax(KNOWN / 2, axis=1), softmax(OWN / 2, axis=1)
    gradient = 2.5 * 4 / 6 / 2 * fixed[:, None] * (soft_rows[1] - soft_rows[0])
    assert logits.grad.numpy() == pytest.approx(gradient, rel=1e-3, abs=1e-5)


def huber(difference: float) -> float:
    return 0.5 * difference**2 if abs(difference) < 1 else abs(difference) - 0.5


def relations(own: np.ndarray, known: np.ndarray) -> Tuple[float, float]:
    """Return the losses of distances and of angles, by loops over pairs and triplets."""
    count = len(own)
    pairs = [(i, j) for i in range(count) for j in range(count) if i != j]

    def distances(rows: np.ndarray) -> np.ndarray:
        found = np.array([np.linalg.norm(rows[i] - rows[j]) for i, j in pairs])
        return found / found.mean()

    def cosine(rows: np.ndarray, i: int, j: int, k: int) -> float:
        one, other = rows[i] - rows[j], rows[k] - rows[j]
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    far = np.mean([huber(one) for one in distances(own) - distances(known)])
    triplets = [(i, j, k) for i, j in pairs for k in range(count) if k not in (i, j)]
    turned = [huber(cosine(own, *three) - cosine(known, *three)) for three in triplets]
    return float(far), float(np.mean(turned))


def test_relations_are_those_of_all_pairs_and_triplets() -> None:
    own, known = RNG.normal(0, 1, [7, 5]), RNG.normal(3, 20, [7, 9])
    far, turned = relations(own, known)
    loss = built("RKDLoss", weight=0.5, distance=3.0, angle=2.0)
    found = loss(None, HARD, None, (tensor(own), tensor(known)))
    assert found.item() == pytest.approx(0.5 * (3 * far + 2 * turned), rel=1e-3)
    assert min(far, turned) > 0.01


def test_relations_do_not_depend_on_place_scale_and_direction() -> None:
    rows = RNG.normal(0, 1, [6, 5])
    turn = np.linalg.qr(RNG.normal(0, 1, [5, 5]))[0]
    found = built("RKDLoss")(None, HARD, None, (tensor(rows), tensor(7 * rows @ turn + 2)))
    assert found.item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_few_or_equal_images_have_finite_gradients(rows: int) -> None:
    own = paddle.ones([rows, 5])
    own.stop_gradient = False
    known = tensor(RNG.normal(0, 1, [rows, 5]))
    loss = built("RKDLoss")(None, HARD, None, (own, known))
    loss.backward()
    assert np.isfinite(loss.item()) and np.isfinite(own.grad.numpy()).all()


def test_features_are_asked_for_once_and_count_once_beside_auxiliary_heads() -> None:
    rows = [tensor(RNG.normal(0, 1, [6, 5])) for _ in range(2)]
    loss = CombinedLoss(["RKDLoss", "CELoss"], teacher=lambda images: tensor(KNOWN))
    asked = []
    loss.features = lambda: asked.append(1) or (rows[0], rows[1])  # type: ignore[func-returns-value]
    values = loss([tensor(OWN), tensor(OWN)], HARD)
    assert asked == [1] and values["RKDLoss"].item() > 0
    assert values["aux"].item() == pytest.approx(0.3 * values["CELoss"].item(), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("DKDLoss", {"temperature": 0}, "temperature"),
        ("DISTLoss", {"beta": -1}, "beta"),
        ("WSLLoss", {"weigth": 1}, "Did you mean 'weight'"),
        ("RKDLoss", {"angle": "wide"}, "angle"),
    ],
)
def test_arguments_are_checked(name: str, arguments: Dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        built(name, **arguments)
