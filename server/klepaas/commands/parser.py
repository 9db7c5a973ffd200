"""Reads the words of a command: filled when it is used, with examples in its help, and helpful when words are wrong.

A wrong word ends the process with exit code 2 and one line that names the nearest right one.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from klepaas.observability import one_line, say

__all__ = ["WRONG", "Parser", "suggestion"]

WRONG = 2
_MOST_SHOWN_CHARS = 60
_MOST_LISTED = 6


class Parser(argparse.ArgumentParser):
    """argparse's parser with the manners of klepaas.

    Args:
        fill: Adds the arguments, when they are needed: most commands of a command line are never used.
        examples: Whole command lines, shown in the help.
        words: What argparse takes.
    """

    def __init__(
        self, *, fill: Callable[["Parser"], None] | None = None, examples: Sequence[str] = (), **words: Any
    ) -> None:
        super().__init__(
            allow_abbrev=False,
            formatter_class=_help_formatter,
            conflict_handler="resolve",
            epilog=_epilog(examples),
            **words,
        )
        self.examples = tuple(examples)
        self.commands: dict[str, Parser] = {}
        self._fill = fill
        self._choices: Any = None

    def command(self, name: str, **words: Any) -> "Parser":
        """Add a command below this one.

        Args:
            name: Its word.
            words: What argparse takes; "%" needs no care.
        """
        if self._choices is None:
            self._choices = self.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
        texts = {
            key: value.replace("%", "%%") if key in ("help", "description") else value for key, value in words.items()
        }
        made: Parser = self._choices.add_parser(name, **texts)
        self.commands[name] = made
        return made

    def filled(self) -> "Parser":
        """This parser with all its arguments."""
        if self._fill is not None:
            fill, self._fill = self._fill, None
            fill(self)
        return self

    def every(self) -> Iterator["Parser"]:
        """This command and all below it, filled, in order."""
        yield self.filled()
        for command in self.commands.values():
            yield from command.every()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read the words; a word that nothing takes is this command's error, not the whole line's as in argparse."""
        namespace, rest = super(Parser, self.filled()).parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return namespace, rest

    def format_help(self) -> str:
        """The help, of all arguments."""
        return super(Parser, self.filled()).format_help()

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, what was meant, and where the help is; end with exit code 2."""
        say(f"klepaas: {self._in_words(message)} See {self.prog} --help.", "error")
        self.exit(WRONG)

    def _in_words(self, message: str) -> str:
        choice = re.search(r"invalid choice: (['\"])(.*?)\1 \(choose from (.*)\)\Z", message, re.DOTALL)
        if choice:
            known = list(self.commands) or re.findall(r"[\w.-]+", choice[3])
            what = "command" if self.commands else "choice"
            listed = f" There are {', '.join(known)}." if len(known) <= _MOST_LISTED else ""
            word: str = one_line(choice[2], _MOST_SHOWN_CHARS)
            near = suggestion(choice[2], known)
            if self.commands:
                return f"There is no {what} '{word}'.{near or listed}"
            # A fixed set is always named: the nearest word is often not the one that was meant.
            return f"There is no {what} '{word}'.{near} There are {', '.join(known)}."
        if message.startswith("unrecognized arguments: "):
            word = message.removeprefix("unrecognized arguments: ").split(" ")[0]
            known = [*self.commands, *(option for action in self._actions for option in action.option_strings)]
            what = "option" if word.startswith("-") else "argument"
            return f"{self.prog} takes no {what} {_shown(word)}.{suggestion(word.split('=')[0], known)}"
        return f"{one_line(message)}."


def suggestion(word: str, known: Sequence[str]) -> str:
    """ " Did you mean ...?", or nothing where nothing is near.

    Args:
        word: What somebody typed.
        known: What there is.
    """  # noqa: D210 -- the result begins with a blank
    import difflib

    near = difflib.get_close_matches(word[:_MOST_SHOWN_CHARS], list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near else ""


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=30)


def _shown(word: str) -> str:
    return repr(one_line(word, _MOST_SHOWN_CHARS))


def _epilog(examples: Sequence[str]) -> str | None:
    if not examples:
        return None
    lines = "\n".join(f"  {example}" for example in examples)
    return f"examples:\n{lines}".replace("%", "%%")
