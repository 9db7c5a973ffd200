"""ValidatingAdmissionPolicies: the refusals and warnings of bound policies, in the API server's words.

Expressions are evaluated as far as `cel` goes; a policy with another one is answered with 501 when it is made. Done:
resource rules, namespace and object selectors, match conditions, failure policy, Deny and Warn, messages and reasons.
Not done: parameters, variables, excluded rules, audit annotations, type checks, policies on subresources
and on deletes.

Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .cel import EvaluationError, Node, UnsupportedError, compile_cel
from .model import Json
from .resources import NAMESPACES, POLICIES, POLICY_BINDINGS, Resource
from .selectors import selector_match
from .status import ApiError, Cause, not_implemented
from .store import Store

_CODES = {"Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
_compiled = functools.lru_cache(maxsize=256)(compile_cel)


@dataclass(frozen=True)
class Change:
    """What is to be admitted; `old` is None for a new object."""

    resource: Resource
    object: Json
    old: Json | None
    dry_run: bool

    @property
    def operation(self) -> str:
        """As rules name it."""
        return "UPDATE" if self.old else "CREATE"


def check_policy(spec: Json) -> Iterator[Cause]:
    """What is wrong with a policy.

    Raises:
        ApiError: 501 for an expression that is not done here.
    """
    if not spec.get("matchConstraints"):
        yield Cause("FieldValueRequired", "Required value", "spec.matchConstraints")
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        says = "Required value: validations or auditAnnotations must contain at least one item"
        yield Cause("FieldValueRequired", says, "spec.validations")
        yield Cause("FieldValueRequired", says, "spec.auditAnnotations")
    for index, validation in enumerate(spec.get("validations") or ()):
        where = f"spec.validations[{index}].expression"
        expression = validation.get("expression") or ""
        if not expression.strip():
            yield Cause("FieldValueRequired", "Required value: expression is not specified", where)
            continue
        reason = validation.get("reason")
        if reason and reason not in _CODES:
            supported = ", ".join(f'"{one}"' for one in sorted(_CODES))
            says = f'Unsupported value: "{reason}": supported values: {supported}'
            yield Cause("FieldValueNotSupported", says, f"spec.validations[{index}].reason")
        for text in (expression, validation.get("messageExpression") or "true"):
            _supported(text)
    for condition in spec.get("matchConditions") or ():
        _supported(condition.get("expression") or "true")


def _supported(text: str) -> Node:
    try:
        return _compiled(text)
    except UnsupportedError as error:
        raise not_implemented(f"the CEL expression {text!r} ({error})") from error


def admit(store: Store, change: Change, warnings: list[str]) -> None:
    """Refuse a change that a bound policy denies, and collect what policies warn of.

    Raises:
        ApiError: as the first denial asks for, 422 unless it says otherwise.
    """
    for binding in store.list(POLICY_BINDINGS):
        policy = store.get(POLICIES, "", binding["spec"].get("policyName") or "")
        if policy is None or not _matches(store, policy["spec"].get("matchConstraints") or {}, change):
            continue
        if not _matches(store, binding["spec"].get("matchResources") or {}, change):
            continue
        said = _failure(store, policy["spec"], change)
        if said is None:
            continue
        message, reason = said
        policy_name, binding_name = policy["metadata"]["name"], binding["metadata"]["name"]
        whose = f"ValidatingAdmissionPolicy '{policy_name}' with binding '{binding_name}'"
        actions = binding["spec"].get("validationActions") or ()
        if "Warn" in actions:
            warnings.append(f"Validation failed for {whose}: {message}")
        if "Deny" in actions:
            raise _denied(change, f"{whose} denied request: {message}", reason)


def _denied(change: Change, message: str, reason: str) -> ApiError:
    resource, name = change.resource, change.object["metadata"].get("name", "")
    details: Json = {"name": name}
    if resource.group:
        details["group"] = resource.group
    details |= {"kind": resource.plural, "causes": [{"message": message}]}
    said = f'{resource.qualified} "{name}" is forbidden: {message}'
    return ApiError(_CODES.get(reason, 422), said, reason, details)


def _matches(store: Store, constraints: Json, change: Change) -> bool:
    rules = constraints.get("resourceRules")
    if rules is not None and not any(_rule_covers(rule, change) for rule in rules):
        return False
    labels = change.object["metadata"].get("labels") or {}
    if not selector_match(constraints.get("objectSelector"))(labels):
        return False
    return not constraints.get("namespaceSelector") or selector_match(constraints["namespaceSelector"])(
        _namespace_labels(store, change)
    )


def _namespace_labels(store: Store, change: Change) -> Json:
    if change.resource is NAMESPACES:
        return change.object["metadata"].get("labels") or {}
    namespace = store.get(NAMESPACES, "", change.object["metadata"].get("namespace", "")) or {"metadata": {}}
    return namespace["metadata"].get("labels") or {}


def _rule_covers(rule: Json, change: Change) -> bool:
    resource = change.resource
    asked = (
        ("apiGroups", resource.group), ("apiVersions", resource.version), ("operations", change.operation),
        ("resources", resource.plural),
    )  # fmt: skip
    named = rule.get("resourceNames")
    if named and change.object["metadata"].get("name") not in named:
        return False
    return all({"*", "*/*", value} & set(rule.get(field) or ()) for field, value in asked)


def _scope(store: Store, change: Change) -> dict[str, Any]:
    resource, meta = change.resource, change.object["metadata"]
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    request = {
        "operation": change.operation, "name": meta.get("name", ""), "namespace": meta.get("namespace", ""),
        "kind": kind, "resource": {**kind, "resource": resource.plural}, "dryRun": change.dry_run,
    }  # fmt: skip
    namespace = store.get(NAMESPACES, "", meta.get("namespace", ""))
    return {"object": change.object, "oldObject": change.old, "request": request, "namespaceObject": namespace}


def _failure(store: Store, spec: Json, change: Change) -> tuple[str, str] | None:
    """The message and reason of the first validation that does not hold; None when all do or none applies."""
    scope = _scope(store, change)
    lenient = spec.get("failurePolicy") == "Ignore"
    try:
        for condition in spec.get("matchConditions") or ():
            if _supported(condition["expression"])(scope) is not True:
                return None
    except EvaluationError:
        return None if lenient else ("match conditions could not be evaluated", "Invalid")
    for validation in spec.get("validations") or ():
        expression, reason = validation["expression"], validation.get("reason") or "Invalid"
        try:
            if _supported(expression)(scope) is True:
                continue
        except EvaluationError as error:
            if lenient:
                continue
            return f"expression '{expression}' resulted in error: {error}", reason
        return _message(validation, scope), reason
    return None


def _message(validation: Json, scope: dict[str, Any]) -> str:
    if validation.get("messageExpression"):
        try:
            said = _supported(validation["messageExpression"])(scope)
            if isinstance(said, str) and said.strip():
                return said
        except EvaluationError:
            pass
    return validation.get("message") or f"failed expression: {validation['expression'].strip()}"
