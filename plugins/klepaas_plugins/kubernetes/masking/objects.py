"""Kubernetes objects as they may be shown to people: the structure stays, the secrets do not.

Only the plugin knows which field of an object is a secret, so this is done here, before the gate's net under it. Of a
built-in kind the table in `fields` says what each path holds. Any other data is judged by the names of its fields, by
pairs of a name and a value, and by the form of its values. Dropped are managedFields and copies of the object inside
its annotations.

Masking is one-way and idempotent, and never changes its input.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from klepaas.output.masking.field_names import holds_credentials
from klepaas.output.masking.names import Secrecy, is_secret_name, secrecy
from klepaas_plugins.kubernetes.masking.fields import Content, content_of, is_built_in
from klepaas_plugins.kubernetes.masking.messages import message_text
from klepaas_plugins.kubernetes.masking.pairs import secret_fields
from klepaas_plugins.kubernetes.masking.shapes import has_fields, hidden, is_labels, is_texts, secret_generator
from klepaas_plugins.kubernetes.masking.values import ValueMasker, sized

__all__ = ["mask", "mask_arguments", "mask_each", "mask_text", "mask_value"]

# Annotations in which tools keep a whole copy of the object, values included.
_COPIES = re.compile(r"(?i)last-?applied|original-(?:spec|object)|rio\.cattle\.io/applied|/(?:pod|job)-?spec$")
# Annotations of ingress controllers that name a Secret.
_NAMES_SECRET = re.compile(r"/(?:auth|auth-tls|proxy-ssl|session-cookie|tls|secure-verify-ca)-secret(?:-name)?$")
_OBJECT_NAME = re.compile(r"(?:[a-z0-9.-]{1,253}/)?[a-z0-9.-]{1,253}")
# Fields that mean the same in other kinds as in built-in ones.
_ENVIRONMENT = frozenset({"env", "environment", "envvars", "extraenv", "extraenvvars", "environmentvariables"})
# Beside one of these a message is the cluster's own.
_OF_CONDITIONS = frozenset({"reason", "status", "lastTransitionTime", "involvedObject", "phase", "code"})
# What a schema says of a field's values.
_EXAMPLES = frozenset({"default", "example", "examples", "const"})
_COMMAND_LINES = frozenset({"args", "command", "extraargs", "entrypoint", "cmd"})
_LABELS = re.compile(r"(?:^|[a-z])(?:[lL]abels|[sS]elector|nodeSelector|matchExpressions|tolerations|affinity)$")


def mask(obj: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an object, or of a list of objects, without its secrets.

    Args:
        obj: The object as the API sends it; it is not changed.
    """
    return next(mask_each([obj]))


def mask_each(objects: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Copies of objects without their secrets; a text that stands in several of them is judged once.

    Args:
        objects: The objects as the API sends them, one after the other; they are not changed.
    """
    masker = _Objects()
    for obj in objects:
        yield _masked_document(masker, obj)


def _masked_document(masker: "_Objects", obj: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return masker.document(obj, "")
    except RecursionError:
        named = {key: value for key, value in obj.items() if key in ("apiVersion", "kind") and isinstance(value, str)}
        metadata = obj.get("metadata")
        place = metadata if isinstance(metadata, Mapping) else {}
        names = {key: place[key] for key in ("name", "namespace") if isinstance(place.get(key), str)}
        return {**named, "metadata": names, "...": "[nested too deeply to be masked, so it is not shown]"}


def mask_text(text: str) -> str:
    """A configuration text, or what a program wrote, without its secrets; documents in it are masked as data.

    Args:
        text: The text.
    """
    return _Objects().values.text(text)


def mask_arguments(words: Sequence[str]) -> list[str]:
    """A command line without its secrets.

    Args:
        words: Its words.
    """
    return _Objects().values.words(words)


def mask_value(name: str, value: str) -> str:
    """The value of a variable or a column, judged by its name and its form.

    Args:
        name: The name.
        value: The value.
    """
    return _Objects().values.named(name, value)


class _Objects:
    """Masks objects.

    Args:
        depth: How many texts are around what is masked.
        family: Those of the same call, by depth. None: this is the first.
    """

    def __init__(self, depth: int = 0, family: dict[int, "_Objects"] | None = None) -> None:
        self._family = {} if family is None else family
        self._family[depth] = self
        self.values = ValueMasker(self._data_at, depth)
        self._apply: dict[Content, Callable[[Any], Any]] = {
            Content.NAME: self._each(self.values.name),
            Content.TEXT: self._each(self.values.text),
            Content.ENVIRONMENT: self.values.environment,
            Content.ARGUMENTS: self.values.arguments,
            Content.HEADERS: self.values.environment,
            Content.OPTIONS: self._options,
            Content.ANNOTATIONS: self._annotations,
            Content.BYTES: lambda value: sized(value, encoded=True),
            Content.OBJECT: self._embedded,
            Content.SCHEMA: self._schema,
        }

    def document(self, obj: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """An object; the items of a typed list do not say their kind, the list does."""
        kind = str(obj.get("kind") or kind)
        items = obj.get("items")
        if kind.endswith("List") and isinstance(items, list):
            inner = kind.removesuffix("List")
            copies = [self.document(item, inner) if isinstance(item, Mapping) else self.data(item) for item in items]
            return {**self._built_in({**obj, "items": []}, ""), "items": copies}
        if kind == "Secret":
            return self._secret(obj)
        if is_built_in(obj.get("apiVersion"), kind):
            return self._config_map(obj) if kind == "ConfigMap" else self._built_in(obj, kind)
        return self._fields(obj)

    def _built_in(self, obj: Mapping[str, Any], parent: str) -> dict[str, Any]:
        """The fields of a built-in kind, or of a part of one, by the table."""
        result: dict[str, Any] = {}
        paired: frozenset[str] | None = None
        for field, value in obj.items():
            content = content_of(parent, field) if isinstance(field, str) else None
            if content is None and isinstance(value, str):
                # A field that is none of Kubernetes' own.
                paired = secret_fields(obj) if paired is None else paired
            if content is not Content.SERVER:
                result[field] = hidden(value) if field in (paired or ()) else self._field(content, str(field), value)
        return result

    def _field(self, content: Content | None, field: str, value: Any) -> Any:
        if content is Content.PLAIN or value is None or isinstance(value, bool | int | float):
            return value
        if field == "message" and isinstance(value, str):
            return str(message_text(value))
        if content is None or (content in (Content.NAME, Content.TEXT) and not is_texts(value)):
            return self._inside(field, value)
        return self._apply[content](value) if content in self._apply else sized(value, encoded=False)

    def _inside(self, field: str, value: Any) -> Any:
        """What a field of a built-in kind holds that the table does not name: other fields, or something unknown."""
        if isinstance(value, Mapping):
            return self._built_in(value, field)
        if isinstance(value, list):
            return [self._inside(field, item) for item in value]
        return self.value(field, value)

    def _data_at(self, value: Any, depth: int) -> Any:
        return (self._family.get(depth) or _Objects(depth, self._family)).data(value)

    def data(self, value: Any) -> Any:
        """Any data that is no field: a list, a document, a text."""
        if isinstance(value, Mapping):
            kind = value.get("kind")
            embedded = isinstance(kind, str) and bool(value.keys() & {"apiVersion", "metadata", "data", "stringData"})
            return self.document(value, "") if embedded else self._fields(value)
        if isinstance(value, list):
            return [self.data(item) for item in value]
        return self.values.text(value) if isinstance(value, str) else value

    def _fields(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a custom kind, or of a part of one."""
        if isinstance(obj.get("containers"), list):
            return self._built_in(obj, "spec")
        paired = secret_fields(obj)
        return {
            key: hidden(value) if key in paired else self._custom_field(obj, str(key), value)
            for key, value in obj.items()
            if key != "managedFields" or not isinstance(value, list)
        }

    def _custom_field(self, obj: Mapping[str, Any], key: str, value: Any) -> Any:
        if key == "metadata" and isinstance(value, Mapping):
            return self._built_in(value, "metadata")
        if key == "secretKey" and ("remoteRef" in obj or "sourceRef" in obj):
            return value  # the key of a Secret that an external one is written to
        if _LABELS.search(key) and is_labels(value):
            return value
        if key == "message" and isinstance(value, str) and obj.keys() & _OF_CONDITIONS:
            return str(message_text(value))
        return self.value(key, value)

    def value(self, key: str, value: Any) -> Any:
        """A field's value, judged by the field's name and its own form."""
        lowered = key.lower()
        if lowered in _ENVIRONMENT and isinstance(value, Mapping | list):
            return self.values.environment(value)
        if lowered in _COMMAND_LINES:
            return self.values.arguments(value)
        if lowered == "annotations" and isinstance(value, Mapping):
            return self._annotations(value)
        if isinstance(value, str):
            return self.values.named(key, value)
        if key == "secretGenerator" and isinstance(value, list):
            return [self.data(secret_generator(item)) for item in value]
        if secrecy(key) is Secrecy.UNCERTAIN and is_texts(value):
            return [self.values.named(key, item) for item in value]
        if not is_secret_name(key) or (isinstance(value, Mapping) and has_fields(key)):
            return self.data(value)
        return hidden(value, credentials=holds_credentials(key))

    def _each(self, one: Callable[[str], str]) -> Callable[[Any], Any]:
        return lambda value: one(value) if isinstance(value, str) else [one(item) for item in value]

    def _options(self, options: Any) -> Any:
        if not isinstance(options, Mapping):
            return self.data(options)
        return {key: self.values.variable(str(key), value) for key, value in options.items()}

    def _annotations(self, annotations: Any) -> Any:
        if not isinstance(annotations, Mapping):
            return self.data(annotations)
        kept = {key: value for key, value in annotations.items() if not _COPIES.search(str(key)[-300:])}
        return {key: self._annotation(str(key), value) for key, value in kept.items()}

    def _annotation(self, key: str, value: Any) -> Any:
        if _NAMES_SECRET.search(key) and isinstance(value, str) and _OBJECT_NAME.fullmatch(value):
            return value
        return self.values.variable(key, value)

    def _embedded(self, value: Any) -> Any:
        return self._built_in(value, "") if isinstance(value, Mapping) else self.data(value)

    def _secret(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        clean = self._built_in(
            {key: value for key, value in obj.items() if key not in ("data", "stringData")}, "Secret"
        )
        return {
            key: clean[key] if key in clean else sized(value, encoded=key == "data")
            for key, value in obj.items()
            if key != "managedFields"
        }

    def _config_map(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        clean = self._built_in(obj, "ConfigMap")
        metadata = obj.get("metadata")
        labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
        # Helm may keep its releases, values included, in ConfigMaps.
        if isinstance(labels, Mapping) and labels.get("owner") == "helm" and "data" in clean:
            clean["data"] = hidden(obj["data"])
        return clean

    def _schema(self, value: Any, name: str = "") -> Any:
        """A schema names fields, it does not fill them: its texts are masked, and the defaults of secret fields.

        Args:
            value: A part of the schema.
            name: The field that it is of.
        """
        if isinstance(value, list):
            return [self._schema(item, name) for item in value]
        if not isinstance(value, Mapping):
            return self.values.text(value) if isinstance(value, str) else value
        result: dict[str, Any] = {}
        for key, inner in value.items():
            if key in ("properties", "patternProperties", "definitions") and isinstance(inner, Mapping):
                result[key] = {field: self._schema(one, str(field)) for field, one in inner.items()}
            elif key in _EXAMPLES and not isinstance(inner, Mapping):
                result[key] = hidden(inner) if is_secret_name(name) else self.value(name, inner)
            else:
                result[key] = self._schema(inner, name)
        return result
