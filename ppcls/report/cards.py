"""Photos with what is to be said of them."""

from __future__ import annotations

import os
from typing import Iterable, Optional

from ppcls.report.findings import ConfusedPair, DoubtfulLabel, Example, Findings, Twins
from ppcls.report.html import Html, element, said
from ppcls.report.illustrations import Attention
from ppcls.report.photos import Photos


def as_percent(fraction: float) -> str:
    """Write a probability with one digit behind the point."""
    return f"{fraction:.1%}"


class Cards:
    """Makes cards of the images of a report."""

    def __init__(self, findings: Findings, photos: Photos) -> None:
        self._found, self._photos = findings, photos

    def wrong(self, examples: Iterable[Example]) -> Html:
        """Return images with their label and what the network said of them."""
        return _photos(self._card(one, self._label(one), self._answer(one)) for one in examples)

    def hard(self, examples: Iterable[Example]) -> Html:
        """Return images that were right by a small margin."""
        return _photos(
            self._card(one, self._answer(one), said("lead", lead=as_percent(one.margin)))
            for one in examples
        )

    def doubtful(self, issues: Iterable[DoubtfulLabel]) -> Html:
        """Return images whose label is probably wrong, with what they look like."""
        return _photos(
            self._card(
                one.example,
                self._label(one.example),
                said(
                    "head_says",
                    name=self._found.name(one.suggested),
                    chance=as_percent(one.suggested_probability),
                ),
            )
            for one in issues
        )

    def pair(self, pair: ConfusedPair) -> Html:
        """Return a heading and some images of two classes that are confused."""
        names = {
            "label": self._found.name(pair.label),
            "predicted": self._found.name(pair.predicted),
        }
        head = element("h3", said("taken_for", images=pair.images, **names))
        return element("div", head, self.wrong(pair.examples))

    def twins(self, pairs: Iterable[Twins]) -> Html:
        """Return pairs of images that show the same."""
        return element("ul", [self._twins(pair) for pair in pairs], class_="twins")

    def attention(self, rows: Iterable[Attention]) -> Html:
        """Return images beside where the network saw their classes."""
        return element("ul", [self._attention(row) for row in rows], class_="twins")

    def augmented(self, original: Example, pictures: Iterable[Optional[str]]) -> Html:
        """Return an image and what became of it."""
        first = self._card(original, element("div", said("original")))
        return _photos([first, *(element("li", _image(picture, "")) for picture in pictures)])

    def _card(self, one: Example, *lines: Html) -> Html:
        return element("li", self._photo(one), [element("div", line) for line in lines], _name(one))

    def _photo(self, one: Example) -> Html:
        return _image(self._photos.photo(one.split, one.index), os.path.basename(one.image))

    def _label(self, one: Example) -> Html:
        return said("label_is", name=self._found.name(one.label))

    def _answer(self, one: Example) -> Html:
        name = self._found.name(one.predicted)
        return said("network_says", name=name, chance=as_percent(one.probability))

    def _twins(self, pair: Twins) -> Html:
        flags = [
            element("span", said(key), " ", class_="flag")
            for key, is_so in (("leak", pair.leaks), ("contradiction", pair.contradicts))
            if is_so
        ]
        return element(
            "li",
            element("div", [self._twin(one) for one in (pair.first, pair.second)], class_="two"),
            element("div", flags, said("mirrored") if pair.mirrored else None),
        )

    def _twin(self, one: Example) -> Html:
        where = element("div", said(one.split), ", ", self._label(one))
        return element("div", self._photo(one), where, _name(one))

    def _attention(self, row: Attention) -> Html:
        one = row.example
        looks = [
            element(
                "div",
                _image(look.picture, ""),
                element("div", said("speaks_for", name=self._found.name(look.label))),
            )
            for look in row.looks
        ]
        lines = [self._label(one)] if one.is_right else [self._label(one), self._answer(one)]
        own = element("div", self._photo(one), [element("div", line) for line in lines])
        return element("li", element("div", own, looks, class_="two"))


def _photos(cards: Iterable[Html]) -> Html:
    return element("ul", list(cards), class_="photos")


def _name(one: Example) -> Html:
    return element("div", one.image, class_="name", title=one.image)


def _image(picture: Optional[str], words: str) -> Html:
    if picture is None:
        return element("div", said("no_picture"), class_="photo no")
    return element("img", src=picture, alt=words, class_="photo")
