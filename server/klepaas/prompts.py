"""How a prompt is declared: a function that writes it, and its words in each language that it speaks.

A prompt is a text that a person picks in a client, as a command, and that the client's model then carries out. It is
made of nothing but its arguments: whatever must be looked up, the model looks up with tools. Each language is listed as
a prompt of its own, since the protocol does not tell which one a person reads: `deploy`, and `deploy_ko`.
"""

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from klepaas.completion import Completer
from klepaas.parameters import DeclarationError
from klepaas.variables import Variable, variables_of

__all__ = ["LANGUAGE", "Prompt", "Wording"]

# A parameter of this name is not asked for: it is the language that was picked.
LANGUAGE = "language"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True)
class Wording:
    """What a client shows of a prompt in one language.

    Attributes:
        title: A short name for people.
        description: What it is for, one or two sentences.
        arguments: By argument: what it means.
    """

    title: str
    description: str
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Prompt:
    """A prompt that a plugin offers.

    Its name is the function's name; in any language but the first, with the language behind it.

    Attributes:
        function: An async function that writes the text. Its parameters are the arguments: texts with a
            `klepaas.names.Check` in their annotation, or a `Literal` of texts; with a default where they may be left
            out. A parameter `language: Literal["en", "ko"]` gets the language instead.
        wordings: By language (ISO 639), the first one the default: what a client shows.
        completions: By argument: tells what it can be, given what is chosen for others. See `klepaas.completion`.
        timeout_s: Longest time that writing it may take, in seconds.

    Raises:
        DeclarationError: It lacks something, or a wording does not fit the function.
    """

    function: Callable[..., Awaitable[str]]
    wordings: Mapping[str, Wording]
    completions: Mapping[str, Completer] = field(default_factory=dict, repr=False)
    timeout_s: float = 10.0
    variables: Mapping[str, Variable] = field(init=False, repr=False, compare=False)
    takes_language: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        variables = variables_of(self.function)
        language = variables.pop(LANGUAGE, None)
        object.__setattr__(self, "variables", variables)
        object.__setattr__(self, "takes_language", language is not None)
        if not _NAME.fullmatch(self.name):
            raise DeclarationError(f"{self.name!r} is no name for a prompt: lower-case letters, digits and '_'")
        if not self.wordings or not all(_LANGUAGE.fullmatch(spoken) for spoken in self.wordings):
            raise DeclarationError(f"the prompt {self.name} needs a wording for each language, such as en")
        if len(self.wordings) > 1 and (language is None or set(language.choices) != set(self.wordings)):
            raise DeclarationError(f"{self.name}() needs a parameter {LANGUAGE!r} with the languages of its wordings")
        for spoken, wording in self.wordings.items():
            if set(wording.arguments) != set(variables):
                raise DeclarationError(f"the wording {spoken!r} of {self.name} does not describe each argument")
        unknown = [name for name in self.completions if name not in variables]
        if unknown:
            raise DeclarationError(f"the prompt {self.name} has no argument {unknown[0]!r} to complete")
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise DeclarationError(f"timeout_s of {self.name} is {self.timeout_s!r}, not a number of seconds above 0")

    @property
    def name(self) -> str:
        """The name in its first language."""
        return self.function.__name__

    def listed_names(self) -> dict[str, str]:
        """By the name under which clients list it: the language."""
        first = next(iter(self.wordings))
        return {self.name if spoken == first else f"{self.name}_{spoken}": spoken for spoken in self.wordings}
