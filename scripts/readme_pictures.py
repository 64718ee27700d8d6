"""Draw the README's two pictures from a real run of the quick start, after `make quickstart`:

    python scripts/readme_pictures.py

quickstart_curves.png shows the run's metrics, prediction.png what its exported bundle says of two
image files: one that is easy to read, and one that is not.
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
from ppcls.engine.loggers.jsonl import read_records  # noqa: E402
from ppcls.inference import Prediction, Predictor  # noqa: E402

INK, FAINT, BEST, OTHERS = "#1f2430", "#6b7280", "#2563eb", "#c3cfe3"
COLOURS = 64
DIGITS = ["7/0043.png", "4/0746.png"]


def main(argv: Optional[List[str]] = None) -> None:
    """Draw both pictures."""
    given = _arguments(argv)
    given.output.mkdir(parents=True, exist_ok=True)
    curves = given.output / "quickstart_curves.png"
    records = read_records(given.run / "train_log.jsonl")
    if not records:
        raise SystemExit(f"{given.run} holds no run; `make quickstart` makes one")
    draw_curves(records, curves, "LeNet - handwritten digits")
    save_small(curves.read_bytes(), curves)
    predictions = list(Predictor(given.run / "inference", topk=3)(given.images))
    for prediction in predictions:
        if prediction.error:
            raise SystemExit(f"{prediction.source}: {prediction.error}")
    save_small(draw_predictions(predictions), given.output / "prediction.png")


def _arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Draw the README's pictures from a quick start run."
    )
    parser.add_argument(
        "--run", type=Path, default=ROOT / "output/LeNet_digits", help="the run's folder"
    )
    digits = [ROOT / "dataset/digits/val" / name for name in DIGITS]
    parser.add_argument("--images", type=Path, nargs=2, default=digits, help="two, to predict")
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


def draw_predictions(predictions: List[Prediction]) -> bytes:
    """Return a PNG: each of two image files, and beside it its most probable classes as bars."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.4))
    FigureCanvasAgg(figure)
    for left, prediction in zip((0.02, 0.52), predictions):
        _show_image(figure.add_axes((left, 0.06, 0.19, 0.78)), Path(prediction.source))
        _show_bars(figure.add_axes((left + 0.235, 0.06, 0.23, 0.78)), prediction)
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
    axes.set_xlim(0, 1.3)
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)


if __name__ == "__main__":
    main()
