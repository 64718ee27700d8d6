"""Parsers of the command line whose mistakes are told in a line or two, with what was probably
meant, where argparse would print all options first.
"""

from __future__ import annotations

import argparse
import re
from typing import Any, Dict, Iterable, List, NoReturn, Optional, Sequence, Tuple

from ppcls.errors import did_you_mean, nearest

_OTHER_VERBS = {
    "check": "checks",
    "classify": "predict",
    "doctor": "checks",
    "fit": "train",
    "inference": "predict",
    "list": "models",
    "quantise": "quantize",
    "test": "eval",
    "val": "eval",
    "validate": "eval",
}
"""What other programs call the verbs."""


class Parser(argparse.ArgumentParser):
    """A parser that tells mistakes briefly, and prints help as plain text."""

    def __init__(self, **options: Any) -> None:
        usual = {"allow_abbrev": False, "formatter_class": _Formatter}
        super().__init__(**{**options, **usual})

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave with the exit status 2."""
        self.exit(2, f"error: {self._explain(message)}\n")

    def format_help(self) -> str:
        """Return the help without the marks of reStructuredText."""
        return super().format_help().replace("`", "")

    def _explain(self, message: str) -> str:
        missing = re.fullmatch("the following arguments are required: (.*)", message)
        choice = re.fullmatch(
            r"argument (\S+): invalid choice: '(.*?)' \(choose from (.*)\)", message
        )
        more = f"'{self.prog} --help' shows all that it takes, with examples"
        if missing:
            names = [name.split("/")[-1] for name in missing[1].split(", ")]
            return f"{self.prog} needs {' and '.join(names)}; {more}"
        if choice:
            accepted = [word.strip("' ") for word in choice[3].split(",")]
            hint = did_you_mean(choice[2], accepted)
            return f"{choice[1]}: unknown '{choice[2]}'.{hint} Accepted: {', '.join(accepted)}"
        return f"{self.prog}: {message}; {more}"


class _Formatter(argparse.HelpFormatter):
    """Fills paragraphs, and leaves lines as they are in those that begin with spaces."""

    def add_arguments(self, actions: Iterable[argparse.Action]) -> None:
        """Add actions; verbs stand two letters to the right, which argparse does not count."""
        super().add_arguments(actions)
        self._action_max_length += 2

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = text.strip("\n").split("\n\n")
        fill = super()._fill_text
        filled = [part if part.startswith("  ") else fill(part, width, indent) for part in parts]
        return "\n\n".join(filled)


def describe_verb(parser: argparse.ArgumentParser, text: str, examples: Sequence[str]) -> None:
    """Give the parser of a verb, and those of its actions, a description and examples."""
    parser.description, parser.epilog = text, _as_epilog(examples)
    for action in _actions(parser):
        helps = {item.dest: item.help for item in action._choices_actions}
        for name, inner in action.choices.items():
            text = helps.get(name) or ""
            inner.description = inner.description or f"{text[:1].upper()}{text[1:]}."
            inner.epilog = _as_epilog([line for line in examples if line.startswith(inner.prog)])


def _as_epilog(examples: Sequence[str]) -> Optional[str]:
    return "examples:\n\n" + "\n".join(f"  {line}" for line in examples) if examples else None


def _actions(parser: argparse.ArgumentParser) -> List[Any]:
    return [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]


# --- verbs -------------------------------------------------------------------------------------


def check_verb(given: Sequence[str], verbs: Iterable[str], parser: Parser) -> None:
    """Leave with one line where the verb is missing, unknown, or stands behind an option."""
    verbs = list(verbs)
    if not given:
        parser.exit(2, f"error: which verb? {_listed(verbs)}\n")
    if given[0] in (*verbs, "-h", "--help", "--version"):
        return
    place = next((i for i, word in enumerate(given) if word in verbs), None)
    if place is None:
        parser.exit(2, f"error: {_unknown_verb(given[0], verbs)}\n")
    if given[0].startswith("-"):
        words = [given[place], *given[:place], *given[place + 1 :]]
        parser.exit(2, f"error: the verb comes first: ppcls {' '.join(words)}\n")
    parser.exit(2, f"error: {_unknown_verb(given[0], verbs)}\n")


def _unknown_verb(word: str, verbs: Sequence[str]) -> str:
    if word.startswith("-"):
        return f"ppcls has no option {word}, and there is no verb. {_listed(verbs)}"
    meant = nearest(word, verbs) or _OTHER_VERBS.get(word)
    hint = f" Did you mean 'ppcls {meant}'?" if meant else ""
    return f"there is no verb '{word}'.{hint} {_listed(verbs)}"


def _listed(verbs: Sequence[str]) -> str:
    return f"The verbs are {', '.join(verbs)}; 'ppcls --help' says what they do"


# --- options -----------------------------------------------------------------------------------


def check_options(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Leave with a line for each long option that a verb does not have; before argparse, which
    would complain of what is missing first.
    """
    known = _options(parser)
    found = _long_options(words)
    unknown = {name: value for name, value in found.items() if name not in known}
    if unknown:
        lines = [_unknown_option(parser.prog, *item, known) for item in unknown.items()]
        parser.exit(2, "error: {}\n".format("\n  ".join(lines)))


def _long_options(words: Sequence[str]) -> Dict[str, str]:
    """Return {--name: its value, or an empty text}."""
    found = {}
    for word, after in zip(words, [*words[1:], "-"]):
        name, equals, value = word.partition("=")
        if name == "--":
            break
        if name.startswith("--"):
            found[name] = value if equals else "" if after.startswith("-") else after
    return found


def _options(parser: argparse.ArgumentParser) -> List[str]:
    """Return all options of a verb and of its actions."""
    inner = [one for action in _actions(parser) for one in action.choices.values()]
    return [*parser._option_string_actions, *(name for one in inner for name in _options(one))]


def _unknown_option(prog: str, name: str, value: str, known: Sequence[str]) -> str:
    match, key = _meant(name, known)
    text = f"{prog} has no option {name}."
    if key == "Global.device" and name != "--device":
        value = "cpu" if name == "--cpu" else "gpu"
    if key:
        return f"{text} A recipe's values are changed with -o: -o {key}={value or 'VALUE'}"
    if match:
        return f"{text} Did you mean {match}?"
    return f"{text} '{prog} --help' shows those that it has"


def _meant(name: str, known: Sequence[str]) -> Tuple[Optional[str], Optional[str]]:
    """Return the option that is meant, or else the key of a recipe."""
    from ppcls.config.hints import key_for, known_keys

    word, match = name.strip("-").replace("-", "_"), nearest(name, known)
    if "--override" in known and (word in known_keys() or not match):
        return None, key_for(word)
    return match, None
