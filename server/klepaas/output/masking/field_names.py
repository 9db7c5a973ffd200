"""What a field holds by its own name: one inside of a secret's field, or one of a pair of a name and a value."""

from klepaas.output.masking.name_words import words
from klepaas.output.masking.names import is_secret_name, split_words

__all__ = [
    "ends_secret",
    "holds_credentials",
    "is_container",
    "is_identifier",
    "is_identity",
    "is_reference",
    "is_value_word",
]

_CONTAINERS = words("auth authorization authentication authn authz cookie cookies oauth session bearer jwt")
_REFERENCE = words("""
    name namespace key keys kind apiVersion optional path audience aud group version resource type driver secretName
    configMap fieldPath mode defaultMode expirationSeconds enabled mountPath subPath readOnly valueFrom fileName
    filename method algorithm existingSecret behavior envs files in scheme bearerFormat description
""")
_REFERENCE_ENDS = ("Ref", "Refs", "Name", "Selector", "_ref", "_name", "File", "Path", "Env", "PasswordKey", "TokenKey")
# What stands beside a password, in a field for both.
_IDENTITY = words("username user userID email database host port issuer role source provider")
_CREDENTIALS = words("credential credentials creds")
# In a pair: what says which value stands beside it, and that value, under whatever words.
_IDENTIFIERS = words("""
    name key id variable var env envname envvar header headername field fieldname param parameter parametername property
    option attribute attr k n label title item entry code secretname configkey variablename keyname argument arg flag
    input slug identifier setting
""")
_IDENTIFIER_ENDS = words("name key id variable var param parameter property header")
_VALUES = words("""
    v val vals strval stringval content contents data literal text string raw plain plaintext expected current initial
    body payload setting
""")
# These fields hold a text for people.
_TEXTS = words("help hint title label alt description error link")
_VALUE_ENDS = ("value", "values", "default", "defaults")
_LONGEST_CHARS = 60


def ends_secret(name: str) -> bool:
    """Whether a name is that of a secret itself, not of something about secrets: `password`, not `secretGenerator`."""
    found = split_words(name)
    return is_secret_name("_".join(found[-1:])) or is_secret_name("_".join(found[-2:]))


def is_container(name: str) -> bool:
    """Whether fields below a field of this name are judged by their own names: `auth.username`, `secrets.enabled`."""
    return name.lower() in _CONTAINERS


def is_reference(name: str) -> bool:
    """Whether a field of this name, inside one with a secret's name, only says where the secret is."""
    return name in _REFERENCE or name.endswith(_REFERENCE_ENDS)


def is_identity(name: str) -> bool:
    """Whether a field of this name says whose credentials they are, inside a field for all of them."""
    return name in _IDENTITY


def holds_credentials(name: str) -> bool:
    """Whether a field of this name holds a whole login, not passwords alone."""
    return not _CREDENTIALS.isdisjoint(split_words(name)[-1:])


def is_identifier(name: str) -> bool:
    """Whether a field of this name says what the field beside it holds: `name`, `id`, `variableName`."""
    found = split_words(name[-_LONGEST_CHARS:].rpartition(".")[2])
    return "".join(found) in _IDENTIFIERS or not _IDENTIFIER_ENDS.isdisjoint(found[-1:])


def is_value_word(name: str) -> bool:
    """Whether a field of this name holds the value of a pair: `value`, `default`, `stringValue`, `data2`."""
    found = [word for word in split_words(name[-_LONGEST_CHARS:].rpartition(".")[2]) if not word.isdigit()]
    last = found[-1] if found and _TEXTS.isdisjoint(found) else ""
    return last.endswith(_VALUE_ENDS) or (last in _VALUES and (last != "v" or len(found) == 1))
