"""Writes `risks.md`, the page of what raises the effect of a change, from the table of rules.

    python docs/risks_table.py > docs/risks.md

A test compares the file with what this writes.
"""

import sys
from collections.abc import Iterator
from itertools import groupby

from klepaas_plugins.kubernetes.risks import RULES
from klepaas_plugins.kubernetes.risks.model import Rule

HEAD = """\
# What raises the effect of a change

Written by `docs/risks_table.py` from the rules themselves; a test keeps it true. A change of Kubernetes objects is
judged by its content: each object before and after. What the table finds is named in the question, in the answer of a
dry run and in the audit. Where it says `destructive`, the change is destructive, whatever the tool declares; `write`
names it and raises nothing. Deleted objects and removed fields are destructive without a row here.

- The rules look everywhere in an object, of any kind: in pod templates inside of custom resources, in objects inside of
  objects, and in texts of YAML or JSON that hold objects.
- What has to be looked up (who is bound to a role, whether an owner exists, what a Secret is) is looked up within
  5 seconds and 40 requests. What could not be looked up is named as not known, and raises the effect.
- Objects of the same change are judged by their manifests: a binding to a role of the same change shows its rules.
- A rule finds what the object did not have before. A new image of the same repository in a privileged container, for
  example, raises nothing.
- When the server has made the change, its answer is judged again. Where a webhook made more of it, the object is
  restored, and the audit says what it was.

What no rule knows: what images do, what other controllers make of an object, and parameters of admission policies.
"""
TITLES = {
    "deletes-by-owner": "Deletion by an owner",
    "deletes-by-finalizer": "Finalizers",
    "deletes-by-expiry": "Deletion by time",
    "deletes-by-pruning": "Deletion by whoever tracks it",
    "deletes-data": "Loss of data",
    "stops": "What stops",
    "grants-rights": "Rights",
    "gives-identity": "Identities",
    "mounts-credentials": "Credentials for images",
    "issues-credentials": "Credentials of the cluster",
    "host-access": "Access to nodes",
    "weaker-isolation": "Weaker isolation",
    "changes-admission": "Admission",
    "extends-the-api": "The API itself",
    "changes-the-cluster": "Namespaces, nodes and the cluster",
    "redirects-traffic": "Where traffic goes",
    "exposes": "What is exposed",
    "opens-network": "Network policies",
    "configures-a-proxy": "Ingress controllers and proxies",
    "copies-secrets": "Copies of secrets",
    "deploys-elsewhere": "Who deploys something else",
    "not-known": "What is not known",
}


def page() -> str:
    """The whole page."""
    order = list(TITLES)
    rules = sorted(RULES, key=lambda rule: order.index(rule.code))
    lines = [HEAD]
    for code, group in groupby(rules, key=lambda rule: rule.code):
        lines += [f"## {TITLES[code]}\n", f"Code `{code}`.\n", *_table(group)]
    return "\n".join(lines)


def _table(rules: Iterator[Rule]) -> Iterator[str]:
    yield "| content | in an existing object | in a new one |\n|---|---|---|"
    for rule in rules:
        text = rule.content.replace("|", "\\|")
        yield f"| {text} | {rule.severity.value} | {(rule.created or rule.severity).value} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(page())
