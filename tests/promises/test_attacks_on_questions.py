"""Attacks on what a person reads, and on what is made of their answer: none is forged, hidden, or used for another.

Each sends a change that grants everything. Either the person reads that, in a line of klepaas' own, or it is refused.
"""

import json
import unicodedata
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.client import Cluster

from .attack_content import account, annotated, binding, obj, role, rule, user, web
from .attack_stage import SandboxStage, open_stage

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(scale_timeout(60))]
FACT = "destructive: grants ClusterRole everything in the whole cluster: every verb on everything to"
EVERYTHING = role(rule("*", "*", "*"), name="everything")
END = "It is made only if you confirm it."
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA"


def grant(name: str = "eve", **metadata: Any) -> dict[str, Any]:
    made = binding("ClusterRole", "everything", user(name))
    return {**made, "metadata": {**made["metadata"], **metadata}}


def text(*objects: dict[str, Any]) -> str:
    return "\n---\n".join(json.dumps(one) for one in objects)


DECOYS = [obj("v1", "ConfigMap", f"decoy-{number}", data={"text": "nothing " * 40}) for number in range(40)]
MARKERS = (KEY, "PASSWORD='", 'secret="', "--password", "password: hunter2hunter2", "token=abcdef0123456789", "\x02")
QUESTIONS: dict[str, str] = {
    "a name with a line break says that nothing changes": text(grant("eve\n  leave as it is clusterrolebinding/b")),
    "a name with a carriage return ends the question": text(grant(f"eve\r\r{END}")),
    "a name with another line separator ends the question": text(grant(f"eve\u2028{END}\u2029{END}\x85{END}")),
    "a name that says that it is only a view": text(grant("eve: view -> view (new)")),
    "a name with terminal sequences": text(grant("eve\x1b[2K\x1b[1A\x1b[8m")),
    "a name that is written from right to left": text(grant("\u202eniмda\u202c")),
    "a name of invisible characters": text(grant("eve\u200b\u2060\U000e0041\ufeff")),
    "an annotation that looks like a private key": text(grant(annotations={"a": KEY})),
    "an annotation that looks like a password": text(grant(annotations={"password": "x", "token: ": "hunter2hunter2"})),
    "an annotation that ends the question": text(grant(annotations={"a": f"\n\n{END}\n\nTool: k8s_get (read)"})),
    "an annotation that is a mark of redaction in one word": text(grant(annotations={"a": "Bearer " + "x" * 200})),
    "a long object before it": text(obj("v1", "ConfigMap", "long", data={"a": "x\n" * 9000}), grant()),
    "many objects before it": text(*DECOYS, grant()),
    "many subjects before the one that matters": text(binding(
        "ClusterRole", "everything", *[user(f"u-{number}") for number in range(60)], user("eve"))),
    "a list in the place of an object": json.dumps({"apiVersion": "v1", "kind": "List", "items": [grant()]}),
    "an alias of YAML": "x: &a [{kind: User, name: eve, apiGroup: rbac.authorization.k8s.io}]\napiVersion: "
    "rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: b}\nroleRef: {apiGroup: "
    "rbac.authorization.k8s.io, kind: ClusterRole, name: everything}\nsubjects: *a\n",
    **{
        f"a subject before the one that matters is named {marker!r}": text(
            binding("ClusterRole", "everything", user(marker), user("eve"))
        )
        for marker in MARKERS
    },
    "a comment that says what it is": f"# {END}\n" + text(grant()),
    "two documents of one object": text(binding("ClusterRole", "view", user("eve")), grant()),
    "a key that stands twice": '{"kind": "ClusterRoleBinding", "metadata": {"name": "b"}, "kind": "ConfigMap", '
    '"apiVersion": "v1", "data": {}}',
    "an older version of the kind": text({**grant(), "apiVersion": "rbac.authorization.k8s.io/v1beta1"}),
    "a kind in small letters": text({**grant(), "kind": "clusterrolebinding"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for all attacks, which share a cluster and a session."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxStage]:
    async with open_stage(tmp_path_factory.mktemp("questions")) as stage:
        yield stage


@pytest.fixture
async def stage(shared: SandboxStage) -> AsyncIterator[SandboxStage]:
    await shared.make(EVERYTHING)
    shared.sandbox.clear_requests()
    yield shared
    await shared.clean()


def assert_honest(question: str) -> None:
    """The person reads the fact in a line of its own, and no line that is not klepaas'."""
    head, _, rest = question.partition("What would change:\n")
    assert "Tool: k8s_apply (destructive)" in head
    *shown, end = rest.splitlines()
    assert end == END
    assert all(line.startswith("  ") for line in shown), question
    assert any(FACT in line and line.lstrip().startswith("! ") for line in shown), question
    assert not any(line.strip().startswith(("leave as it is", "Tool:", END)) for line in shown), question
    odd = [char for char in question if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and char != "\n"]
    assert odd == []


@pytest.mark.parametrize("case", [case for case in QUESTIONS if case.startswith("a subject before")])
async def test_no_name_hides_the_subject_behind_it(stage: SandboxStage, case: str) -> None:
    answer = await stage.apply(QUESTIONS[case])
    assert stage.read, answer
    shown = [line.strip() for line in stage.read[0].splitlines()]
    assert [line for line in shown if line.startswith("! ") and line.endswith("User eve")], shown
    assert "subject: User eve" in shown


@pytest.mark.parametrize("case", QUESTIONS)
async def test_the_person_reads_what_is_granted_or_it_is_refused_when(stage: SandboxStage, case: str) -> None:
    answer = await stage.apply(QUESTIONS[case])
    if stage.read:
        assert_honest(stage.read[0])
    else:
        assert "confirm" not in answer or "too long" in answer
    assert stage.changes == []


def test_most_attacks_on_questions_are_asked_and_not_only_refused() -> None:
    refused = {"two documents of one object", "a key that stands twice"}
    assert len(set(QUESTIONS) - refused) >= 15


POLICY = obj("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}, "policyTypes": ["Ingress"]})


def owned(name: str) -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": "0-0"}
    return obj("v1", "ConfigMap", "settings", metadata={"ownerReferences": [owner]}, data={"a": "b"})


WAYS: dict[str, tuple[str, dict[str, Any], str]] = {
    "create": ("k8s_create", {"manifests": text(grant())}, FACT),
    "create with a generated name": (
        "k8s_create",
        {"manifests": text({**grant(), "metadata": {"generateName": "b-"}})},
        FACT,
    ),
    "apply what others set": ("k8s_apply", {"manifests": text(grant()), "take_ownership": True}, FACT),
    "apply and remove": ("k8s_apply", {"manifests": text(grant()), "remove_unnamed": True}, FACT),
    "delete": ("k8s_delete", {"kind": "networkpolicy", "name": "web"}, "may be reached, or may reach"),
    "deploy manifests": (
        "deploy_application",
        {"app_name": "web", "manifests": text(web(hostNetwork=True), owned("gone"))},
        "the garbage collector deletes it: its owner ConfigMap gone does not exist",
    ),
    "scale": ("scale_application", {"app_name": "web", "replicas": 0}, "stops what runs (spec.replicas: 0)"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_to_write_objects_asks_with_the_fact_of_its_content(stage: SandboxStage, way: str) -> None:
    tool, arguments, fact = WAYS[way]
    await stage.make(web())
    await stage.make(POLICY)
    stage.sandbox.clear_requests()
    answer = await stage.call(tool, arguments)
    assert stage.read, answer
    assert f"Tool: {tool} (destructive)" in stage.read[0]
    assert fact in stage.read[0], stage.read[0]
    assert stage.changes == []


async def test_too_many_grants_to_be_shown_are_refused_and_not_cut(stage: SandboxStage) -> None:
    many = [binding("ClusterRole", "everything", user(f"u{n}"), name=f"b-{n}-{'x' * 60}") for n in range(80)]
    answer = await stage.apply(text(*many))
    assert stage.read == []
    assert "too long to be shown to a person" in answer
    assert stage.changes == []


async def test_a_role_that_is_widened_while_the_person_reads_is_asked_about_anew(stage: SandboxStage) -> None:
    await stage.make(role(rule("get", "pods"), name="small"))
    stage.sandbox.clear_requests()

    async def widen() -> None:
        stage.sandbox.plant({**EVERYTHING, "metadata": {"name": "small"}})

    stage.before_yes[:] = [widen]
    await stage.apply(text(binding("ClusterRole", "small", account("web"))))
    assert "ClusterRole small in the whole cluster: get on pods to" in stage.read[0]
    assert "every verb on everything" in stage.read[1]
    assert stage.changes == []


async def test_an_owner_that_goes_while_the_person_reads_is_asked_about_anew(stage: SandboxStage) -> None:
    owner = await stage.make(obj("v1", "ConfigMap", "owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    await stage.make(obj("v1", "ConfigMap", "owned"))
    stage.sandbox.clear_requests()

    async def delete_owner() -> None:
        stage.sandbox.delete("ConfigMap", "owner")
        stage.made[:] = [path for path in stage.made if not path.endswith("/owner")]

    stage.before_yes[:] = [delete_owner]
    await stage.apply(text(obj("v1", "ConfigMap", "owned", metadata={"ownerReferences": [reference]})))
    assert "it is deleted when its owner ConfigMap owner is deleted" in stage.read[0]
    assert "does not exist in its namespace" in stage.read[1]
    assert stage.changes == []


async def test_what_is_sent_under_a_plan_of_something_else_is_asked_about(stage: SandboxStage) -> None:
    harmless = annotated("ConfigMap", "v1", "janitor/ttl", "1h", data={"a": "b"})
    first = await stage.client.call_tool("k8s_apply", {"manifests": text(harmless), "dry_run": True})
    plan = getattr(first.content[0], "text", "").partition("plan_id")[2][:64].split()
    answer = await stage.apply(text(grant()), plan_id=plan[-1] if plan else "0" * 32)
    assert stage.changes == [], answer


def _mutate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change the first real write on its way, as a mutating webhook does that answers dry runs otherwise."""
    real = Cluster.apply
    done: list[Any] = []

    async def apply(self: Cluster, body: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        if more.get("dry_run") or done:
            return await real(self, body, **more)
        changed = json.loads(json.dumps(body))
        changed["spec"]["template"]["spec"]["hostPID"] = True
        answer = await real(self, changed, **more)
        # A write that a status came before is tried again, and is changed then.
        done.append(answer)
        return answer

    monkeypatch.setattr(Cluster, "apply", apply)


async def test_a_webhook_that_raises_the_effect_stops_the_change_which_is_restored_and_audited(
    stage: SandboxStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await stage.make(web())
    stage.sandbox.clear_requests()
    _mutate(monkeypatch)
    answer = await stage.apply(text(web("example/app:2")))
    assert "a pod in a namespace of its node (spec.template.spec.hostPID: true)" in answer
    now = stage.sandbox.get("Deployment", "web")
    assert now is not None
    assert now["spec"]["template"]["spec"] == before["spec"]["template"]["spec"]
    record = stage.records[-1]
    assert (record["event"], record["outcome"]) == ("outcome", "error")
    assert "hostPID: true" in record["note"]
