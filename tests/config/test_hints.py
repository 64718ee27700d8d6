"""Keys that stand in the wrong place, and words of other programs."""

from __future__ import annotations

import pytest

from ppcls.config import load_config
from ppcls.config.hints import OTHER_WORDS, key_for
from ppcls.errors import ConfigError

RECIPE = "quick_start/LeNet_digits.yaml"


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("epochs", "Global.epochs"),
        ("epoch", "Global.epochs"),
        ("--batch-size", "DataLoader.Train.sampler.batch_size"),
        ("lr", "Optimizer.lr.learning_rate"),
        ("LR", "Optimizer.lr.learning_rate"),
        ("num_workers", "DataLoader.Train.loader.num_workers"),
        ("level", "AMP.level"),
        ("decay", "EMA.decay"),
        ("pretrained", "Arch.pretrained"),
        ("output_dirr", "Global.output_dir"),
        ("qqqq", None),
    ],
)
def test_words_and_the_keys_that_they_mean(word: str, key: str) -> None:
    assert key_for(word) == key


@pytest.mark.parametrize("key", sorted(set(OTHER_WORDS.values())))
def test_keys_of_other_words_exist(key: str) -> None:
    """Null is refused for its type or taken, but the key itself is known."""
    try:
        load_config(RECIPE, [f"{key}=null"])
    except ConfigError as error:
        assert "unknown key" not in str(error)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("epochs=3", "-o epochs=3: epochs: unknown key 'epochs'. Perhaps you mean Global.epochs."),
        ("Global.batch_size=3", "Perhaps you mean DataLoader.Train.sampler.batch_size. Accepted"),
        ("Global.epoch=3", "unknown key 'epoch'. Did you mean 'epochs'?"),
        ("Global.zzzz=3", "unknown key 'zzzz'. Accepted here"),
    ],
)
def test_a_key_in_the_wrong_place_hints_at_the_right_one(override: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(RECIPE, [override])
    assert says in str(caught.value)
