"""One's own photos, divided and listed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ppcls.data.division import DivisionRequest
from ppcls.data.layouts import recognise
from ppcls.transfer.sets import divided, write_sets


def test_groups_are_those_of_the_listed_images(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            path = tmp_path / "photos" / name / f"{name}{number // 4}_{number}.png"
            cv2.imwrite(str(path), np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "run").mkdir()
    images = recognise(str(tmp_path / "photos"), [])
    request = DivisionRequest(group_by=r"(\w+\d)_")
    sets = write_sets(images, divided(images, request), tmp_path / "run", request.group_by)
    listed = [Path(line.split(" ")[0]).name for line in sets.train.read_text().splitlines()]
    assert sets.groups is not None and len(sets.groups) == len(listed) == sets.images
    names = {
        group: {name.split("_")[0] for name, at in zip(listed, sets.groups) if at == group}
        for group in set(sets.groups.tolist())
    }
    assert len(names) > 4 and all(len(found) == 1 for found in names.values())
    assert write_sets(images, divided(images, DivisionRequest()), tmp_path / "run").groups is None
