"""The sections of a report: tables, charts and photos under their headings."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Tuple

import numpy as np

from ppcls.api.class_table import worst_first
from ppcls.report.cards import Cards, as_percent
from ppcls.report.findings import Findings, SplitSize
from ppcls.report.html import Html, concatenated, element, escaped, said
from ppcls.report.illustrations import Illustrations
from ppcls.report.svg import Line, line_chart, reliability_chart

MOST_CELLS = 30
"""How many classes a confusion matrix shows; of more, those with the most mistakes."""

MOST_CLASSES = 200
"""How many classes the table of each class shows, the worst first."""

_SHOWN_LABELS, _SHOWN_TWINS, _SHOWN_UNREADABLE = 36, 18, 50

Rows = List[Html]


class Sections:
    """Makes the sections of a report, each as a list of HTML."""

    def __init__(
        self, findings: Findings, cards: Cards, pictures: Illustrations, record: str
    ) -> None:
        """Keep what the sections are made of; `record` is the name of the JSON file beside."""
        self.found, self.cards, self.pictures, self.record = findings, cards, pictures, record

    def all(self) -> Dict[str, Rows]:
        """Return the sections by their keys in `ppcls.report.words`, in their order."""
        makers: Dict[str, Callable[[], Rows]] = {
            "summary": self._summary,
            "curves": self._curves,
            "confusion": self._confusion,
            "classes": self._classes,
            "pairs": self._pairs,
            "mistakes": self._mistakes,
            "labels_val": lambda: self._labels("val"),
            "labels_train": lambda: self._labels("train"),
            "duplicates": self._duplicates,
            "hard": self._hard,
            "attention": self._attention,
            "augmentation": self._augmentation,
            "calibration": self._calibration,
            "unreadable": self._unreadable,
        }
        made = {key: self._made(key, maker) for key, maker in makers.items()}
        return {key: rows for key, rows in made.items() if rows}

    def _made(self, key: str, maker: Callable[[], Rows]) -> Rows:
        reason = self.found.empty.get(key)
        return [_words("missing", reason=reason)] if reason else maker()

    def _summary(self) -> Rows:
        found = self.found
        names = ", ".join(found.class_map.names[:20])
        more = ", ..." if len(found.class_map) > 20 else ""
        rows = {
            **{key: escaped(value) for key, value in found.summary.items()},
            "class_count": escaped(f"{len(found.class_map)}: {names}{more}"),
            **{f"images_{split}": _size(size) for split, size in found.splits.items()},
        }
        pairs = [[element("dt", said(key)), element("dd", value)] for key, value in rows.items()]
        return [*self._headline(), element("dl", [part for pair in pairs for part in pair])]

    def _headline(self) -> Rows:
        counts = self.found.confusion
        if counts is None or not counts.sum():
            return []
        right, total = int(np.trace(counts)), int(counts.sum())
        rate = element("strong", as_percent(right / total))
        return [
            element("p", rate, " ", said("headline", right=right, total=total), class_="headline")
        ]

    def _curves(self) -> Rows:
        records = self.found.records
        names = [name for one in records if one.get("event") == "eval" for name in one["metrics"]]
        main = next((name for name in names if name != "loss"), None)
        steps = Line("steps", _series(records, "train", "loss"))
        charts = [_chart(said("loss"), [steps, *_both(records, "loss")], "loss")]
        if main:
            is_fraction = main.startswith("top")
            charts.append(_chart(escaped(main), _both(records, main), main, is_fraction))
        rates = [(one["position"], one["lr"]) for one in records if "lr" in one]
        charts.append(_chart(said("rate"), [Line("other", rates)], "learning rate"))
        return [element("div", charts, class_="charts"), element("p", _keys())]

    def _confusion(self) -> Rows:
        counts = self.found.confusion
        assert counts is not None
        right, total = int(np.trace(counts)), int(counts.sum())
        rate = as_percent(right / total)
        rows = [_words("about_confusion", right=right, total=total, rate=rate)]
        shown = _most_confused(counts)
        if len(shown) < len(counts):
            rows.append(_words("about_part", all=len(counts), shown=len(shown)))
        return [*rows, _scrolled(self._matrix(counts, shown))]

    def _matrix(self, counts: np.ndarray, shown: List[int]) -> Html:
        part = counts[np.ix_(shown, shown)]
        shares = part / np.maximum(counts[shown].sum(1, keepdims=True), 1)
        names = [self.found.name(label) for label in shown]
        head = element("tr", element("td"), [element("th", name, scope="col") for name in names])
        body = [
            element("tr", element("th", names[i], scope="row"), _cells(part[i], shares[i], i))
            for i in range(len(shown))
        ]
        return element("table", element("thead", head), element("tbody", body), class_="matrix")

    def _classes(self) -> Rows:
        keys = ["precision", "recall", "f1", "support"]
        head = element("tr", [element("th", said(key), scope="col") for key in ["class", *keys]])
        ordered = worst_first(self.found.classes)
        body = [
            element(
                "tr",
                element("th", one["name"], scope="row"),
                [element("td", as_percent(one[key])) for key in keys[:3]],
                element("td", str(one["support"])),
            )
            for one in ordered[:MOST_CLASSES]
        ]
        table = element("table", element("thead", head), element("tbody", body))
        return [_words("about_classes"), _scrolled(table), *self._more(len(ordered), MOST_CLASSES)]

    def _pairs(self) -> Rows:
        if not self.found.pairs:
            return [_words("nothing_confused")]
        shown = [self.cards.pair(pair) for pair in self.found.pairs]
        return [_words("about_pairs"), element("div", shown, class_="pairs")]

    def _mistakes(self) -> Rows:
        if not self.found.mistakes:
            return [_words("nothing_wrong")]
        return [_words("about_mistakes"), self.cards.wrong(self.found.mistakes)]

    def _hard(self) -> Rows:
        if not self.found.hard:
            return [_words("nothing_right")]
        return [_words("about_hard"), self.cards.hard(self.found.hard)]

    def _labels(self, split: str) -> Rows:
        issues = self.found.doubtful[split]
        if not issues:
            return [_words(f"about_labels_{split}"), _words("nothing_doubtful")]
        rate = as_percent(self.found.judges[split])
        return [
            _words(f"about_labels_{split}"),
            _words("about_judge", rate=rate),
            _words("about_fixing", file=self.record),
            self.cards.doubtful(issues[:_SHOWN_LABELS]),
            *self._more(len(issues), _SHOWN_LABELS),
        ]

    def _duplicates(self) -> Rows:
        pairs = self.found.twins
        if not pairs:
            return [_words("nothing_twice")]
        shown = self.cards.twins(pairs[:_SHOWN_TWINS])
        return [_words("about_duplicates"), shown, *self._more(len(pairs), _SHOWN_TWINS)]

    def _attention(self) -> Rows:
        return [_words("about_attention"), self.cards.attention(self.pictures.attention)]

    def _augmentation(self) -> Rows:
        original = self.found.augmented
        assert original is not None
        shown = self.cards.augmented(original, self.pictures.augmented)
        return [_words("about_augmentation"), shown]

    def _calibration(self) -> Rows:
        error = as_percent(self.found.calibration_error or 0.0)
        chart = reliability_chart(self.found.bins, "calibration")
        caption = element("figcaption", said("accuracy"), " / ", said("confidence"))
        return [
            _words("about_calibration", error=error),
            element("div", element("figure", chart, caption), class_="charts"),
        ]

    def _unreadable(self) -> Rows:
        bad = [line for size in self.found.splits.values() for line in size.unreadable]
        if not bad:
            return []
        items = [element("li", line) for line in bad[:_SHOWN_UNREADABLE]]
        return [element("ul", items), *self._more(len(bad), _SHOWN_UNREADABLE)]

    def _more(self, count: int, most: int) -> Rows:
        if count <= most:
            return []
        return [_words("about_listed", all=count, shown=most, file=self.record)]


def _words(key: str, **values: object) -> Html:
    return element("p", said(key, **values))


def _size(size: SplitSize) -> Html:
    if size.judged == size.images:
        return escaped(str(size.images))
    return said("judged_of", images=size.images, judged=size.judged)


def _scrolled(table: Html) -> Html:
    # What scrolls must be reachable by keyboard.
    return element("div", table, class_="scroll", tabindex=0)


def _most_confused(counts: np.ndarray) -> List[int]:
    """Return the classes that a matrix shows, in their order."""
    if len(counts) <= MOST_CELLS:
        return list(range(len(counts)))
    wrong = counts - np.diag(np.diagonal(counts))
    most = np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:MOST_CELLS]
    return sorted(most.tolist())


def _cells(counts: np.ndarray, shares: np.ndarray, own: int) -> Iterable[Html]:
    for column, (count, share) in enumerate(zip(counts.tolist(), shares.tolist())):
        kind = "good" if column == own else "bad"
        style = f"--share: {share:.2f}"
        yield element("td", str(count) if count else "", class_=kind, style=style)


def _both(records: List[Dict[str, Any]], name: str) -> List[Line]:
    events = (("train", "epoch"), ("eval", "eval"))
    return [Line(style, _series(records, event, name)) for style, event in events]


def _series(records: List[Dict[str, Any]], event: str, name: str) -> List[Tuple[float, float]]:
    return [
        (one["position"], one["metrics"][name])
        for one in records
        if one.get("event") == event and name in one["metrics"]
    ]


def _chart(caption: Html, lines: List[Line], name: str, percent_up: bool = False) -> Html:
    chart = line_chart(lines, name, percent_up)
    return element("figure", chart, element("figcaption", caption)) if chart else Html("")


def _keys() -> Html:
    pairs = (("train", "train"), ("eval", "val"))
    return concatenated(
        [element("span", said(word), class_=f"key {style}") for style, word in pairs]
    )
