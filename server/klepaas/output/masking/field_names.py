"""What a field holds that stands inside of one with a secret's name, or beside it, by its own name."""

from klepaas.output.masking.name_words import words
from klepaas.output.masking.names import is_secret_name, split_words

__all__ = ["ends_secret", "holds_credentials", "is_container", "is_identity", "is_reference"]

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
