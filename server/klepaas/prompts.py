"""How a prompt is declared: a function that writes it, and its words in each language that it speaks.

A prompt is a text that a person picks in a client, as a command, and that the client's model then carries out. It is
listed once, whatever its languages: a client that makes a function of each prompt has no use for pairs. The argument
`language` picks one; without it the prompt is written in the language that the person's own words are in.
"""

import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from klepaas.completion import Completer
from klepaas.parameters import DeclarationError
from klepaas.variables import Variable, variables_of, verify

__all__ = ["LANGUAGE", "Prompt", "Wording"]

# The argument that picks the language.
LANGUAGE = "language"
# What people write for a language besides its code, and the letters that tell it from the others.
_OWN_NAMES: Mapping[str, str] = {"한국어": "ko"}
_LETTERS: Mapping[str, re.Pattern[str]] = {"ko": re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True)
class Wording:
    """What a client shows of a prompt in one language.

    Attributes:
        title: A short name for people.
        description: What it is for, one or two sentences.
        arguments: By argument: what it means. The language describes itself.
    """

    title: str
    description: str
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Prompt:
    """A prompt that a plugin offers.

    Its name is the function's name.

    Attributes:
        function: An async function that writes the text. Its parameters are the arguments, in the order in which
            clients fill them in: texts with a `klepaas.names.Check` in their annotation, or a `Literal` of texts; with
            a default where they may be left out. One that speaks several languages has a parameter
            `language: Literal["en", "ko"]`.
        wordings: By language (ISO 639), the first one the default: what a client shows.
        completions: By argument: tells what it can be, given what is chosen for others. See `klepaas.completion`.
        timeout_s: Longest time that writing it may take, in seconds.
        takes_sentences: Whether an argument may hold any word of a sentence, since some clients split what a person
            types at its blanks and fill in the words by position. What breaks the rule of an argument is then passed
            on as it was said instead of being refused, so the function must check what it uses as a name. A word for
            `language` that is no language is put in front of the argument after it, which is the last one, a free text.

    Raises:
        DeclarationError: It lacks something, or a wording does not fit the function.
    """

    function: Callable[..., Awaitable[str]]
    wordings: Mapping[str, Wording]
    completions: Mapping[str, Completer] = field(default_factory=dict, repr=False)
    timeout_s: float = 10.0
    takes_sentences: bool = field(default=False, kw_only=True)
    variables: Mapping[str, Variable] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        variables = variables_of(self.function)
        if LANGUAGE in variables:
            variables[LANGUAGE] = replace(variables[LANGUAGE], required=False)
        object.__setattr__(self, "variables", variables)
        if not _NAME.fullmatch(self.name):
            raise DeclarationError(f"{self.name!r} is no name for a prompt: lower-case letters, digits and '_'")
        self._check_wordings()
        unknown = [name for name in self.completions if name not in variables]
        if unknown:
            raise DeclarationError(f"the prompt {self.name} has no argument {unknown[0]!r} to complete")
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise DeclarationError(f"timeout_s of {self.name} is {self.timeout_s!r}, not a number of seconds above 0")
        if self.takes_sentences and LANGUAGE in variables and self._free_text != [*variables][-1:]:
            raise DeclarationError(f"{self.name}() takes sentences, so one last parameter follows {LANGUAGE!r}")

    def _check_wordings(self) -> None:
        language = self.variables.get(LANGUAGE)
        if not self.wordings or not all(_LANGUAGE.fullmatch(spoken) for spoken in self.wordings):
            raise DeclarationError(f"the prompt {self.name} needs a wording for each language, such as en")
        if len(self.wordings) > 1 and (language is None or set(language.choices) != set(self.wordings)):
            raise DeclarationError(f"{self.name}() needs a parameter {LANGUAGE!r} with the languages of its wordings")
        for spoken, wording in self.wordings.items():
            if set(wording.arguments) != {name for name in self.variables if name != LANGUAGE}:
                raise DeclarationError(f"the wording {spoken!r} of {self.name} does not describe each argument")

    @property
    def name(self) -> str:
        """The name under which clients list it."""
        return self.function.__name__

    def fill(self, given: Mapping[str, object]) -> dict[str, str]:
        """Check what a client filled in, and settle the language.

        Args:
            given: What was filled in, by argument.

        Returns:
            The arguments of the function.

        Raises:
            BadRequest: A value breaks its rule where that is not allowed, is missing, or there is no such argument.
        """
        # An empty field of a client's form is one that was left out.
        filled = {name: value for name, value in given.items() if value != ""}
        word = filled.get(LANGUAGE)
        if LANGUAGE in self.variables and isinstance(word, str):
            self._take_language(filled, word)
        values = verify(self.variables, filled, f"the prompt {self.name}", allow_any_text=self.takes_sentences)
        if LANGUAGE in self.variables:
            values[LANGUAGE] = values.get(LANGUAGE) or self._language_of(values.values())
        return values

    def shown(self, text: Callable[[Wording], str]) -> str:
        """What a client shows, in all languages, the first one first.

        Args:
            text: What of a wording.
        """
        return " / ".join(dict.fromkeys(text(wording) for wording in self.wordings.values()))

    def _take_language(self, filled: dict[str, object], word: str) -> None:
        """Read the word for the language; in a sentence one that is none goes to the text after it."""
        language = word if word in self.wordings else _OWN_NAMES.get(word)
        if language in self.wordings:
            filled[LANGUAGE] = language
        elif self.takes_sentences:
            del filled[LANGUAGE]
            (text,) = self._free_text
            filled[text] = " ".join(str(part) for part in (word, filled.get(text)) if part)

    @property
    def _free_text(self) -> list[str]:
        """The argument after the language; none where there is no language."""
        names = [*self.variables]
        return names[names.index(LANGUAGE) + 1 :][:1] if LANGUAGE in names else []

    def _language_of(self, texts: Iterable[str]) -> str:
        """The language whose letters are among the texts, else the first one."""
        said = " ".join(texts)
        found = (spoken for spoken, letters in _LETTERS.items() if spoken in self.wordings and letters.search(said))
        return next(found, next(iter(self.wordings)))
