"""The linear head against scikit-learn's own pipeline."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from ppcls.transfer import linear_head
from ppcls.transfer.linear_head import STRENGTHS, fit_linear_head

RNG = np.random.default_rng(0)


def clouds(images: int, features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features around a centre for each class, and the classes."""
    labels = np.arange(images) % classes
    centres = np.random.default_rng(1).normal(0, 1, (classes, features))
    return centres[labels] + RNG.normal(0, 1.5, (images, features)), labels


def unit(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows with length 1, and the same with the usual length of `rows`."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / lengths, rows / lengths * lengths.mean()


@pytest.mark.parametrize(
    ("images", "features", "classes"), [(60, 200, 3), (300, 20, 4), (40, 9, 2)]
)
def test_it_is_scikit_learns_on_scaled_features(images, features, classes) -> None:
    rows, labels = clouds(images, features, classes)
    head = fit_linear_head(rows, labels, classes)
    assert head.strength in STRENGTHS and head.weight.shape == (features, classes)
    units, usual = unit(rows)
    centred = units - units.mean(axis=0)
    scaled = centred / np.sqrt(np.mean(np.sum(centred**2, axis=1)))
    model = LogisticRegression(C=head.strength, max_iter=2000, tol=1e-6).fit(scaled, labels)
    found = softmax(head.logits(usual.astype(np.float32)), axis=1)
    np.testing.assert_allclose(found, model.predict_proba(scaled), atol=0.05)
    assert 0.5 < head.accuracy <= 1


def test_a_class_without_images_is_never_answered() -> None:
    rows, labels = clouds(60, 10, 3)
    head = fit_linear_head(rows, np.array([0, 2, 4])[labels], 5)
    assert set(head.logits(RNG.normal(0, 9, (500, 10))).argmax(axis=1)) == {0, 2, 4}


def test_one_image_of_each_class_is_enough() -> None:
    rows, labels = clouds(4, 50, 4)
    head = fit_linear_head(rows, labels, 4)
    assert head.accuracy is None
    assert (head.logits(rows).argmax(axis=1) == labels).all()


def test_views_of_an_image_stay_in_its_fold() -> None:
    """Images that nothing tells apart are not recognised by their other view."""
    rows = RNG.normal(0, 1, (60, 300))
    labels = np.arange(60) % 3
    apart = fit_linear_head(np.concatenate([rows, rows]), np.tile(labels, 2), 3, views=2)
    mixed = fit_linear_head(np.concatenate([rows, rows]), np.tile(labels, 2), 3, views=1)
    assert apart.accuracy < 0.6 < 0.8 < mixed.accuracy


def test_a_strength_that_was_chosen_before_is_taken() -> None:
    rows, labels = clouds(60, 20, 3)
    chosen = fit_linear_head(rows, labels, 3)
    again = fit_linear_head(rows, labels, 3, strength=chosen.strength)
    assert (again.weight == chosen.weight).all() and again.strength == chosen.strength
    assert again.accuracy is None and again.likelihood is None


def test_images_of_a_group_stay_in_its_fold() -> None:
    """Photos of one object look alike, whatever its class: others do not look like them."""
    objects = RNG.normal(0, 1, (30, 300))
    groups = np.repeat(np.arange(30), 4)
    rows, labels = objects[groups] + RNG.normal(0, 0.1, (120, 300)), groups % 3
    apart = fit_linear_head(rows, labels, 3, groups=groups)
    mixed = fit_linear_head(rows, labels, 3)
    assert apart.accuracy < 0.7 < 0.95 < mixed.accuracy
    alone = fit_linear_head(rows, labels, 3, groups=labels)
    assert alone.accuracy is None and alone.likelihood is None


def test_large_sets_take_the_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = clouds(300, 20, 4)
    monkeypatch.setattr(linear_head, "MOST_WORK", 1000)
    head = fit_linear_head(rows, labels, 4)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(unit(rows)[0], labels)
    found = head.logits(unit(rows)[1].astype(np.float32))
    expected = model.decision_function(unit(rows)[0])
    np.testing.assert_allclose(
        found - found[:, :1], expected - expected[:, :1], atol=0.2, rtol=0.05
    )
    assert (found.argmax(axis=1) == model.predict(unit(rows)[0])).mean() > 0.98


def test_features_that_are_always_zero_do_no_harm() -> None:
    rows, labels = clouds(60, 10, 3)
    rows[:, 4] = 0.0
    head = fit_linear_head(rows, labels, 3)
    assert np.isfinite(head.weight).all() and np.abs(head.weight[4]).max() < 1e-6


def test_the_length_of_features_says_nothing_of_their_class() -> None:
    rows, labels = clouds(60, 200, 3)
    lengths = np.random.default_rng(2).uniform(0.2, 5, (60, 1))
    head, scaled = (fit_linear_head(one, labels, 3) for one in (rows, rows * lengths))
    answers = [one.logits(unit(rows)[1]).argmax(axis=1) for one in (head, scaled)]
    assert (answers[0] == answers[1]).all()


def test_images_without_any_feature_do_no_harm() -> None:
    head = fit_linear_head(np.zeros((6, 4)), np.arange(6) % 2, 2)
    assert np.isfinite(head.logits(np.zeros((1, 4)))).all()
