"""Draw the README's two pictures from a real run of the quick start, after `make quickstart`:

    python scripts/readme_pictures.py

quickstart_curves.png shows the run's figures, prediction.png what its exported bundle says of an
image file.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any, List, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ppcls.engine.loggers.curves import draw_curves  # noqa: E402
from ppcls.inference import Prediction, Predictor  # noqa: E402

INK, FAINT, BEST, OTHERS = "#1f2430", "#6b7280", "#2563eb", "#c3cfe3"
COLOURS = 64


def main(argv: Optional[List[str]] = None) -> None:
    """Draw both pictures."""
    given = _arguments(argv)
    given.output.mkdir(parents=True, exist_ok=True)
    curves = given.output / "quickstart_curves.png"
    if not draw_curves(given.run / "train_log.jsonl", curves, "LeNet - handwritten digits"):
        raise SystemExit(f"{given.run} holds no run; `make quickstart` makes one")
    save_small(curves.read_bytes(), curves)
    prediction = next(Predictor(given.run / "inference", topk=5)(given.image))
    if prediction.error:
        raise SystemExit(f"{given.image}: {prediction.error}")
    save_small(draw_prediction(given.image, prediction), given.output / "prediction.png")


def _arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Draw the README's pictures from a quick start run."
    )
    parser.add_argument(
        "--run", type=Path, default=ROOT / "output/LeNet_digits", help="the run's folder"
    )
    parser.add_argument(
        "--image", type=Path, default=ROOT / "dataset/digits/val/7/0043.png", help="to predict"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs/images", help="where to put the pictures"
    )
    return parser.parse_args(argv)


def save_small(png: bytes, path: Path) -> None:
    """Write a PNG with a palette: a chart has few colours, and a README should load at once."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def draw_prediction(image: Path, prediction: Prediction) -> bytes:
    """Return a PNG: the image file on the left, the most probable classes as bars on the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.7))
    FigureCanvasAgg(figure)
    _show_image(figure.add_axes((0.04, 0.07, 0.26, 0.77)), image)
    _show_bars(figure.add_axes((0.42, 0.07, 0.56, 0.77)), prediction)
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=120)
    return written.getvalue()


def _show_image(axes: Any, image: Path) -> None:
    from PIL import Image

    axes.imshow(Image.open(image), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title("/".join(image.parts[-3:]), color=FAINT, fontsize=10)


def _show_bars(axes: Any, prediction: Prediction) -> None:
    places = list(range(len(prediction.scores)))
    colours = [BEST, *[OTHERS] * (len(places) - 1)]
    axes.barh(places, prediction.scores, color=colours, height=0.66)
    for place, score in zip(places, prediction.scores):
        weight = "bold" if place == 0 else "normal"
        axes.text(
            score + 0.015, place, f"{score:.1%}", va="center", color=INK, weight=weight, fontsize=11
        )
    axes.set_yticks(places, prediction.names, color=INK, fontsize=13)
    axes.get_yticklabels()[0].set_weight("bold")
    axes.tick_params(length=0)
    axes.set_title("the exported network's answer", loc="left", color=FAINT, fontsize=10)
    axes.set_xlim(0, 1.2 * prediction.scores[0])
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)


if __name__ == "__main__":
    main()
