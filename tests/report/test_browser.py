"""The page in a real browser: both languages, light and dark, and nothing loaded from elsewhere."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Tuple

import cv2
import numpy as np
import pytest

from ppcls.api.report import report

pytestmark = pytest.mark.slow

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def page(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the trained run, which opens in English."""
    if BROWSER is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    folder = tmp_path_factory.mktemp("page") / "run"
    shutil.copytree(trained.folder, folder)
    return report(folder, language="en").page


def browse(page: Path, *options: str) -> str:
    """Open a page without a window and return what the browser wrote."""
    assert BROWSER is not None
    given = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    profile = page.parent / "profile"
    command = [BROWSER, *given, f"--user-data-dir={profile}", *options, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def picture(page: Path, *options: str) -> np.ndarray:
    target = page.parent / "page.png"
    browse(page, f"--screenshot={target}", "--window-size=900,1400", *options)
    return cv2.imread(str(target))


MEASURE = """
<script>
addEventListener("load", () => {
  const seen = one => one.getClientRects().length > 0;
  const radios = [...document.querySelectorAll("input[type=radio]")];
  const found = {};
  for (const radio of radios) {
    radio.click();
    const texts = language => [...document.querySelectorAll("." + language)];
    found[radio.id] = ["en", "zh"].map(language => texts(language).filter(seen).length);
  }
  found.broken = [...document.images].filter(one => !one.naturalWidth).length;
  found.images = document.images.length;
  found.wide = document.documentElement.scrollWidth - innerWidth;
  const resources = performance.getEntriesByType("resource");
  found.loaded = resources.filter(one => !one.name.startsWith("data:")).length;
  radios[0].focus();
  found.keyboard = document.activeElement === radios[0];
  document.title = JSON.stringify(found);
});
</script>
"""


def measured(page: Path, *options: str) -> Any:
    """What a script finds in the page, which may run one for once."""
    text = page.read_text("utf-8")
    probe = page.with_name("probe.html")
    unlocked = re.sub(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", MEASURE, text)
    assert unlocked != text
    probe.write_text(unlocked, "utf-8")
    dumped = browse(probe, "--dump-dom", *options)
    found = re.search("<title>(.*?)</title>", dumped, re.DOTALL)
    assert found
    return json.loads(html.unescape(found[1]))


@pytest.mark.parametrize("width", [1100, 400])
def test_languages_pictures_and_width(page: Path, width: int) -> None:
    found = measured(page, f"--window-size={width},900")
    for chosen, other in (("en", "zh"), ("zh", "en")):
        counts = dict(zip(("en", "zh"), found[f"language-{chosen}"]))
        assert counts[chosen] > 50 and counts[other] == 0
    assert found["images"] > 20 and found["broken"] == 0 and found["loaded"] == 0
    assert found["keyboard"] and found["wide"] <= 0


def levels(shot: np.ndarray) -> Tuple[float, float]:
    """How bright the paper is, and how far what is on it stands out."""
    grey = shot.mean(axis=2)
    paper = float(np.median(grey))
    return paper, float(np.abs(grey - paper).max())


def test_light_and_dark(page: Path) -> None:
    light = levels(picture(page))
    dark = levels(picture(page, "--blink-settings=preferredColorScheme=0"))
    assert light[0] > 230 and dark[0] < 50
    assert min(light[1], dark[1]) > 150
