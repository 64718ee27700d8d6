"""Every image once, the same whatever the number of processes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppcls.data.sampler import DistributedBatchSampler, MultiScaleSampler, RASampler
from ppcls.errors import ConfigError
from ppcls.registry import create


def sampler(
    batch_size: int, shuffle: bool, drop_last: bool, **rest: Any
) -> DistributedBatchSampler:
    return DistributedBatchSampler(batch_size, shuffle, drop_last, **rest)


@pytest.mark.slow
@given(
    st.integers(1, 40),
    st.integers(0, 200),
    st.integers(1, 5),
    st.booleans(),
    st.booleans(),
    st.integers(0, 5),
)
def test_processes_share_the_batches_of_one(
    batch_size: int, length: int, world: int, shuffle: bool, drop_last: bool, epoch: int
) -> None:
    if drop_last and length < batch_size * world:
        return
    args = {"length": length, "seed": 3}
    ranks = [
        sampler(batch_size, shuffle, drop_last, rank=r, world_size=world, **args)
        for r in range(world)
    ]
    alone = sampler(batch_size * world, shuffle, drop_last, **args)
    whole = alone.batches(epoch)
    shares = [rank.batches(epoch) for rank in ranks]
    assert all(len(share) == len(whole) == len(alone) == len(ranks[0]) for share in shares)
    for step, batch in enumerate(whole):
        parts = [share[step] for share in shares]
        np.testing.assert_array_equal(np.concatenate(parts), batch)
        sizes = [len(part) for part in parts]
        assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    seen = np.concatenate(whole) if whole else np.array([], dtype=int)
    assert len(set(seen.tolist())) == len(seen)
    assert length - len(seen) < (batch_size * world if drop_last else 1)


def test_order_depends_on_seed_and_epoch_only() -> None:
    def order(seed: int, epoch: int) -> list:
        batches = sampler(10, True, False, length=100, seed=seed).batches(epoch)
        return np.concatenate(batches).tolist()

    assert order(1, 2) == order(1, 2)
    orders = [order(0, 0), order(0, 1), order(1, 0), order(1, 1)]
    assert len({tuple(o) for o in orders}) == 4
    assert all(sorted(o) == list(range(100)) for o in orders)


def test_keeps_the_order_without_shuffle() -> None:
    batches = sampler(4, False, False, length=10).batches(7)
    assert [batch.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
def test_repeated_augmentation(length: int, repeats: int, world: int, epoch: int) -> None:
    ranks = [
        RASampler(6, length=length, repeats=repeats, seed=1, rank=r, world_size=world)
        for r in range(world)
    ]
    shares = [one.batches(epoch) for one in ranks]
    sizes = [[len(batch) for batch in batches] for batches in zip(*shares)]
    assert all(max(step) - min(step) <= 1 and max(step) <= 6 for step in sizes)
    drawn = np.concatenate([np.concatenate(batches) for batches in shares])
    assert len(drawn) == length and len(set(drawn.tolist())) == length
    images, counts = np.unique(drawn % length, return_counts=True)
    assert len(images) == -(-length // repeats)
    # The last image's copies may be cut off where the epoch ends.
    assert sorted(counts.tolist())[1:] == [repeats] * (len(images) - 1)
    # The copies of the first image are the first of each process.
    first = [batches[0][:1] % length for batches in shares[:repeats]]
    assert len(set(np.concatenate(first).tolist())) == 1


def test_another_part_of_the_images_is_repeated_in_each_epoch() -> None:
    sampler = RASampler(10, length=90, seed=0)
    parts = [set((np.concatenate(sampler.batches(e)) % 90).tolist()) for e in range(40)]
    assert all(len(part) == 30 for part in parts) and len(set().union(*parts)) == 90
    with pytest.raises(ConfigError, match="set shuffle: True"):
        RASampler(10, shuffle=False, length=90)


@pytest.mark.parametrize("name", ["BatchSampler", "DistributedBatchSampler", "RASampler"])
def test_is_built_from_yaml(name: str, build: Any) -> None:
    value = {"name": name, "batch_size": 4, "drop_last": True, "shuffle": True}
    assert len(build("sampler", value, length=10)) == 2


def test_refuses_what_gives_no_batch() -> None:
    with pytest.raises(ConfigError, match="batch_size: must be greater than or equal to 1"):
        create("sampler", "BatchSampler", {"batch_size": 0})
    with pytest.raises(ConfigError, match="10 images, and a step takes 16"):
        sampler(8, False, True, length=10, world_size=2)


def scaled(length: int = 500, **rest: Any) -> MultiScaleSampler:
    return MultiScaleSampler([64, 32, [96, 64]], first_bs=8, length=length, **rest)


@given(length=st.integers(1, 300), world=st.integers(1, 3), epoch=st.integers(0, 3))
def test_sizes_change_and_every_image_is_seen_once(length: int, world: int, epoch: int) -> None:
    ranks = [scaled(length, seed=1, rank=r, world_size=world) for r in range(world)]
    shares = [rank.batches(epoch) for rank in ranks]
    assert {len(share) for share in shares} == {len(rank) for rank in ranks} == {len(shares[0])}
    seen = np.concatenate([np.concatenate(share) for share in shares])
    assert sorted(seen.tolist()) == list(range(length))
    most = {(64, 64): 8, (32, 32): 32, (96, 64): 5}
    for number in range(len(ranks[0])):
        sizes = {rank.sizes_of(epoch)[number] for rank in ranks}  # type: ignore[index]
        assert len(sizes) == 1, "all processes work on one size"
        images = sum(len(share[number]) for share in shares)
        whole = most[sizes.pop()] * world  # type: ignore[index]
        assert images == whole or number == len(ranks[0]) - 1


def test_sizes_are_drawn_and_stay_as_many() -> None:
    many = scaled(5000)
    epochs = [many.sizes_of(epoch) or [] for epoch in (0, 1)]
    assert epochs[0] != epochs[1] and sorted(epochs[0][:-1]) == sorted(epochs[1][:-1])
    assert len(epochs[0]) == len(many.batches(0)) == len(many)
    assert set(epochs[0]) == set(many.sizes) == {(64, 64), (32, 32), (96, 64)}
    plain = scaled(5000, shuffle=False)
    assert plain.batches(0)[0].tolist() == plain.batches(3)[0].tolist()
    one = MultiScaleSampler([70, 32], 8, is_training=False, length=20)
    assert one.sizes == [(64, 64)] and [len(batch) for batch in one.batches(0)] == [8, 8, 4]
    whole = MultiScaleSampler([64], 8, drop_last=True, length=20)
    assert [len(batch) for batch in whole.batches(0)] == [8, 8] and len(whole) == 2


def test_mistakes_of_sizes_are_named() -> None:
    with pytest.raises(ConfigError, match=r"scales: 16 is no size of at least 32 pixels"):
        create("sampler", "MultiScaleSampler", {"scales": [64, 16], "first_bs": 8}, length=9)
    with pytest.raises(ConfigError, match=r"scales: \[64\] is no size"):
        create("sampler", "MultiScaleSampler", {"scales": [[64]], "first_bs": 8}, length=9)
    with pytest.raises(ConfigError, match="drop_last leaves no batch"):
        MultiScaleSampler([64], 8, drop_last=True, length=7)
