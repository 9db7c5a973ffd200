"""What an apply of a manifest means: it changes what is named, and nothing else, and says what it takes from whom."""

from base64 import b64encode
from typing import Any

import pytest

from klepaas.changes import Action
from klepaas.errors import BadRequest, Conflict
from klepaas_plugins.kubernetes.client import AlreadyExists, FieldConflict
from klepaas_plugins.kubernetes.write.own_fields import own_paths

from .conftest import APPLY, JSON_PATCH, World, config_map, container, deployment, lines, managers

pytestmark = pytest.mark.anyio
KLEPAAS = ("klepaas", "Apply", "")


async def test_a_manifest_that_names_one_key_leaves_the_others_that_klepaas_set(world: World) -> None:
    await world.apply(config_map({"a": "1", "b": "2"}))
    made = await world.apply(config_map({"a": "3"}))
    assert lines(made.change) == {"data.a": ("1", "3")}
    found = await world.get("ConfigMap", "settings")
    assert found["data"] == {"a": "3", "b": "2"}
    assert managers(found) == {KLEPAAS}


async def test_a_manifest_that_names_one_container_leaves_the_rest_of_the_workload(world: World) -> None:
    ports = [{"containerPort": 80}, {"containerPort": 90}]
    await world.apply(deployment({"name": "main", "image": "example/app:1", "ports": ports}, replicas=2))
    made = await world.apply(container(image="example/app:2"))
    assert lines(made.change) == {
        "spec.template.spec.containers[main].image": ("example/app:1", "example/app:2"),
    }
    spec = (await world.get("Deployment", "web"))["spec"]
    assert spec["replicas"] == 2
    assert [one["containerPort"] for one in spec["template"]["spec"]["containers"][0]["ports"]] == [80, 90]


async def test_an_item_of_a_list_whose_key_has_a_default_is_the_one_that_is_there(world: World) -> None:
    both = [{"containerPort": 53, "protocol": "UDP", "name": "udp"}, {"containerPort": 53, "protocol": "TCP"}]
    await world.apply(deployment({"name": "main", "image": "example/app:1", "ports": both}))
    whole = {"image": "example/app:1", "ports": [{"containerPort": 53, "name": "tcp"}]}
    body = deployment({"name": "main", **whole})
    await world.apply(body)
    ports = (await world.get("Deployment", "web"))["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert {(one["protocol"], one.get("name")) for one in ports} == {("UDP", "udp"), ("TCP", "tcp")}


async def test_an_atomic_list_is_replaced_and_shown_item_by_item(world: World) -> None:
    await world.apply(deployment({"name": "main", "image": "example/app:1", "args": ["a", "b", "c"]}))
    plan = await world.plan(container(args=["a", "x"]))
    assert lines(plan) == {
        "spec.template.spec.containers[main].args[1]": ("b", "x"),
        "spec.template.spec.containers[main].args[2]": ("c", None),
    }


async def test_null_removes_one_key_and_nothing_else(world: World) -> None:
    await world.apply(config_map({"a": "1", "b": "2"}, labels={"team": "x", "tier": "y"}))
    made = await world.apply(config_map({"a": None}, labels={"team": None}))
    assert lines(made.change) == {"data.a": ("1", None), "metadata.labels.team": ("x", None)}
    found = await world.get("ConfigMap", "settings")
    assert found["data"] == {"b": "2"}
    assert found["metadata"]["labels"] == {"tier": "y"}


async def test_a_label_that_is_null_is_never_stored_as_an_empty_one(world: World) -> None:
    await world.apply(config_map({"a": "1"}, labels={"team": None}))
    assert "labels" not in (await world.get("ConfigMap", "settings"))["metadata"]


async def test_null_removes_what_a_person_set_and_says_whose_it_was(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    await world.patch("ConfigMap", "settings", {"data": {"b": "2", "a": "1"}}, "kubectl-edit")
    made = await world.apply(config_map({"b": None}))
    (change,) = made.change.fields
    assert (change.path, change.before, change.after, change.owners) == ("data.b", "2", None, ("kubectl-edit",))
    assert (await world.get("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_null_removes_what_a_person_owns_as_well(world: World) -> None:
    await world.apply(config_map({"a": "1", "b": "2"}))
    shared = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"b": "2"}}
    await world.patch("ConfigMap", "settings", shared, "kubectl", APPLY)
    made = await world.apply(config_map({"b": None}))
    assert lines(made.change) == {"data.b": ("2", None)}
    assert (await world.get("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_null_removes_what_nobody_owns(world: World) -> None:
    await world.apply(config_map({"a": "1", "b": "2"}))
    there = await world.get("ConfigMap", "settings")
    there["metadata"]["managedFields"] = [{}]
    await world.http.put(world.path("ConfigMap", "settings"), params={"fieldManager": "someone"}, json=there)
    await world.apply(config_map({"b": None}))
    assert (await world.get("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_null_does_not_remove_what_a_controller_owns_until_it_is_taken_over(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    await world.patch("ConfigMap", "settings", {"data": {"b": "2"}}, "argocd-controller")
    with pytest.raises(FieldConflict, match=r"argocd-controller \(Argo CD\) owns data\.b"):
        await world.plan(config_map({"b": None}))
    await world.apply(config_map({"b": None}), take_ownership=True)
    assert (await world.get("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_remove_unnamed_removes_what_klepaas_set_and_the_manifest_does_not_name(world: World) -> None:
    await world.apply(config_map({"a": "1", "b": "2"}))
    await world.patch("ConfigMap", "settings", {"data": {"c": "3"}}, "argocd-controller")
    plan = await world.plan(config_map({"a": "1"}), remove_unnamed=True)
    assert lines(plan) == {"data.b": ("2", None)}
    assert [one.path for one in plan.removals] == ["data.b"]
    await world.apply(config_map({"a": "1"}), remove_unnamed=True)
    assert (await world.get("ConfigMap", "settings"))["data"] == {"a": "1", "c": "3"}


async def test_without_it_unchanged_names_the_fields_that_the_manifest_left_out(world: World) -> None:
    await world.apply(config_map({"a": "1", "b": "2"}, labels={"team": "x"}))
    plan = await world.plan(config_map({"a": "1"}))
    assert plan.action is Action.NONE
    assert dict(plan.facts) == {"not named and kept as klepaas set it": "data.b, metadata.labels"}


async def test_items_of_a_list_that_the_manifest_left_out_are_named_too(world: World) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    await world.apply(deployment({"name": "main", "image": "example/app:1", "env": env}))
    plan = await world.plan(container(env=[{"name": "A", "value": "1"}]))
    (fact,) = plan.facts
    assert fact[1].split(", ") == [
        "spec.selector",
        "spec.template.metadata",
        "spec.template.spec.containers[main].env[B]",
        "spec.template.spec.containers[main].image",
    ]


async def test_an_object_from_git_that_is_as_it_was_changes_nothing_and_sends_nothing(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    plan = await world.plan(config_map({"a": "1"}))
    assert (plan.action, plan.fields, plan.facts, plan.body) == (Action.NONE, (), (), None)


async def test_removal_of_a_finalizer_works_and_is_shown(world: World) -> None:
    await world.apply(config_map({"a": "1"}, finalizers=["example.com/one", "example.com/two"]))
    made = await world.apply(config_map(finalizers=["example.com/two"]), remove_unnamed=True)
    assert ("metadata.finalizers[example.com/one]", None) in {(one.path, one.after) for one in made.change.fields}
    found = await world.get("ConfigMap", "settings")
    assert found["metadata"]["finalizers"] == ["example.com/two"]
    await world.apply(config_map(finalizers=None))
    assert "finalizers" not in (await world.get("ConfigMap", "settings"))["metadata"]


async def test_a_finalizer_of_an_object_that_is_being_deleted_can_be_removed(world: World) -> None:
    await world.apply(config_map({"a": "1"}, finalizers=["example.com/one"]))
    await world.http.delete(world.path("ConfigMap", "settings"))
    with pytest.raises(Conflict, match="is being deleted"):
        await world.plan(config_map({"a": "2"}))
    await world.apply(config_map(finalizers=None))
    assert (await world.http.get(world.path("ConfigMap", "settings"))).status_code == 404


async def test_texts_of_a_secret_become_data_so_that_klepaas_owns_its_keys(world: World) -> None:
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}}
    await world.apply({**body, "stringData": {"a": "one", "b": "two"}})
    found = await world.get("Secret", "login")
    assert {("f:data", "f:a"), ("f:data", "f:b")} <= own_paths(found)
    await world.apply({**body, "stringData": {"a": "three"}})
    data = (await world.get("Secret", "login"))["data"]
    assert data == {"a": b64encode(b"three").decode(), "b": b64encode(b"two").decode()}


async def test_a_key_of_a_secret_that_was_applied_as_text_before_is_still_klepaas_own(world: World) -> None:
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}}
    old = {**body, "stringData": {"a": "one", "b": "two"}}
    await world.patch("Secret", "login", old, "klepaas", APPLY)
    made = await world.apply({**body, "stringData": {"a": "one"}}, remove_unnamed=True)
    assert [one.path for one in made.change.removals] == ["data.b"]
    assert set((await world.get("Secret", "login"))["data"]) == {"a"}


async def test_an_immutable_field_is_named_as_needs_recreation_and_nothing_is_deleted_or_sent(world: World) -> None:
    await world.apply(deployment())
    body = deployment(replicas=3)
    body["spec"]["selector"]["matchLabels"] = {"app": "web", "tier": "x"}
    body["spec"]["template"]["metadata"]["labels"] = {"app": "web", "tier": "x"}
    plan = await world.plan(body)
    recreate = [one.path for one in plan.fields if one.recreate]
    assert recreate == ["spec.selector.matchLabels.tier"]
    assert lines(plan)["spec.replicas"] == ("1", "3")
    uid = (await world.get("Deployment", "web"))["metadata"]["uid"]
    with pytest.raises(Conflict, match=r"needs recreation: spec\.selector\.matchLabels\.tier"):
        await world.apply(body)
    found = await world.get("Deployment", "web")
    assert (found["metadata"]["uid"], found["spec"]["replicas"]) == (uid, 1)


async def test_a_creation_of_what_exists_is_refused(world: World) -> None:
    await world.apply(config_map({"a": "1"}), create=True)
    with pytest.raises(AlreadyExists):
        await world.plan(config_map({"a": "2"}), create=True)


async def test_a_new_object_has_one_owner_and_owns_no_defaults(world: World) -> None:
    made = await world.apply(deployment(), create=True)
    found = await world.get("Deployment", "web")
    assert {one for one in managers(found) if one[0] == "klepaas"} == {KLEPAAS}
    assert ("f:spec", "f:progressDeadlineSeconds") not in own_paths(found)
    assert made.change.action is Action.CREATE
    assert made.change.identity.uid == found["metadata"]["uid"]


async def test_fields_of_a_persons_command_are_taken_over_and_reported(world: World) -> None:
    await world.apply(deployment())
    where = "/spec/template/spec/containers/0/image"
    edit = [{"op": "replace", "path": where, "value": "example/app:9"}]
    await world.patch("Deployment", "web", edit, "kubectl-edit", JSON_PATCH)
    made = await world.apply(container(image="example/app:2"))
    path = "spec.template.spec.containers[main].image"
    assert {one.path: one.owners for one in made.change.fields} == {path: ("kubectl-edit",)}
    assert ("taken over from kubectl-edit (kubectl edit)", path) in made.change.facts
    found = await world.get("Deployment", "web")
    assert ("kubectl-edit", "Update", "") not in managers(found)


@pytest.mark.parametrize("manager", ["argocd-controller", "kustomize-controller", "helm", "some-operator"])
async def test_fields_of_controllers_and_unknown_managers_are_refused_with_what_would_write_them_again(
    world: World, manager: str
) -> None:
    await world.apply(config_map({"a": "1"}))
    await world.patch("ConfigMap", "settings", {"data": {"a": "2"}}, manager)
    with pytest.raises(FieldConflict, match=rf"{manager}.* owns data\.a, and would write its values again") as caught:
        await world.plan(config_map({"a": "3"}))
    assert "take_ownership=true" in str(caught.value.next_step)
    made = await world.apply(config_map({"a": "3"}), take_ownership=True)
    assert [risk.code for risk in made.change.risks] == ["reverted-by-controller"]
    found = await world.get("ConfigMap", "settings")
    assert found["data"] == {"a": "3"}
    assert managers(found) == {KLEPAAS}


async def test_a_controllers_leaf_in_an_item_that_would_go_is_refused_although_the_server_would_not_mind(
    world: World,
) -> None:
    helper = {"name": "helper", "image": "example/helper:1"}
    main = {"name": "main", "image": "example/app:1"}
    await world.apply(deployment(main, helper))
    leaf = [{"op": "replace", "path": "/spec/template/spec/containers/1/imagePullPolicy", "value": "Always"}]
    await world.patch("Deployment", "web", leaf, "some-operator", JSON_PATCH)
    with pytest.raises(FieldConflict, match="some-operator owns"):
        await world.plan(deployment(main), remove_unnamed=True)


async def test_what_a_controller_added_stays_and_is_not_ours(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    await world.patch("ConfigMap", "settings", {"data": {"theirs": "2"}}, "some-operator")
    await world.apply(config_map({"a": "2"}))
    assert (await world.get("ConfigMap", "settings"))["data"] == {"a": "2", "theirs": "2"}


async def test_old_update_and_scale_entries_of_klepaas_are_folded_into_the_one_of_today(world: World) -> None:
    await world.apply(deployment(replicas=1))
    note = {"spec": {"template": {"metadata": {"annotations": {"note": "x"}}}}}
    await world.patch("Deployment", "web", note, "klepaas")
    await world.patch("Deployment", "web", {"spec": {"replicas": 3}}, "klepaas", subresource="scale")
    before = await world.get("Deployment", "web")
    assert {("klepaas", "Update", ""), ("klepaas", "Update", "scale")} <= managers(before)
    await world.apply(container(image="example/app:2"))
    found = await world.get("Deployment", "web")
    assert {one for one in managers(found) if one[0] == "klepaas"} == {KLEPAAS}
    assert found["spec"]["replicas"] == 3
    assert found["spec"]["template"]["metadata"]["annotations"] == {"note": "x"}
    assert {("f:spec", "f:replicas"), ("f:spec", "f:template", "f:metadata", "f:annotations", "f:note")} <= own_paths(
        found
    )


async def test_folding_what_was_created_by_post_claims_no_defaults(world: World) -> None:
    await world.post(deployment(), "klepaas")
    await world.apply(container(image="example/app:2"))
    found = await world.get("Deployment", "web")
    assert {one for one in managers(found) if one[0] == "klepaas"} == {KLEPAAS}
    own = own_paths(found)
    assert ("f:spec", "f:progressDeadlineSeconds") not in own
    assert ("f:spec", "f:selector") in own


async def test_replicas_are_in_no_body_while_an_autoscaler_targets_the_workload(world: World) -> None:
    await world.apply(deployment(replicas=2))
    await world.post(_autoscaler(), "kubectl-create")
    await world.patch("Deployment", "web", {"spec": {"replicas": 5}}, "kube-controller-manager", subresource="scale")
    plan = await world.plan(deployment({"name": "main", "image": "example/app:2"}, replicas=2))
    assert "replicas" not in (plan.body or {})["spec"]
    assert "spec.replicas" not in lines(plan)
    assert ("spec.replicas", "left to the autoscaler, which sets it") in plan.facts
    await world.apply(deployment({"name": "main", "image": "example/app:2"}, replicas=2))
    assert (await world.get("Deployment", "web"))["spec"]["replicas"] == 5


async def test_replicas_that_klepaas_alone_set_become_the_autoscalers_and_stay(world: World) -> None:
    await world.apply(deployment(replicas=4))
    await world.post(_autoscaler(), "kubectl-create")
    await world.apply(container(image="example/app:2"))
    found = await world.get("Deployment", "web")
    assert found["spec"]["replicas"] == 4
    assert ("f:spec", "f:replicas") not in own_paths(found)


async def test_zero_replicas_stop_a_workload_that_an_autoscaler_targets(world: World) -> None:
    await world.apply(deployment(replicas=2))
    await world.post(_autoscaler(), "kubectl-create")
    plan = await world.plan(deployment(replicas=0))
    assert lines(plan)["spec.replicas"] == ("2", "0")


def _autoscaler() -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": spec,
    }


async def test_a_restore_leaves_what_a_controller_has_taken_since_and_says_so(world: World) -> None:
    await world.apply(config_map({"a": "1", "b": "1"}))
    await world.patch("ConfigMap", "settings", {"data": {"a": "2"}}, "argocd-controller")
    made = await world.apply(config_map({"a": "1", "b": "0"}), remove_unnamed=True, is_restoring=True)
    assert ("data.a", "left as it is: argocd-controller (Argo CD) owns it now") in made.change.facts
    found = await world.get("ConfigMap", "settings")
    assert found["data"] == {"a": "2", "b": "0"}
    assert ("f:data", "f:a") not in own_paths(found)


async def test_a_restore_leaves_an_item_in_which_a_controller_owns_a_field(world: World) -> None:
    main, helper = {"name": "main", "image": "example/app:1"}, {"name": "helper", "image": "example/helper:1"}
    await world.apply(deployment(main, helper))
    leaf = [{"op": "replace", "path": "/spec/template/spec/containers/1/imagePullPolicy", "value": "Always"}]
    await world.patch("Deployment", "web", leaf, "some-operator", JSON_PATCH)
    main["image"] = "example/app:0"
    await world.apply(deployment(main), remove_unnamed=True, is_restoring=True)
    containers = (await world.get("Deployment", "web"))["spec"]["template"]["spec"]["containers"]
    assert [(one["name"], one["image"]) for one in containers] == [
        ("main", "example/app:0"),
        ("helper", "example/helper:1"),
    ]


async def test_a_field_that_a_person_set_beside_ours_stays_when_unnamed_ones_are_removed(world: World) -> None:
    await world.apply(deployment({"name": "main", "image": "example/app:1", "env": [{"name": "A", "value": "1"}]}))
    added = {"name": "B", "value": "2"}
    path = "/spec/template/spec/containers/0/env/-"
    await world.patch("Deployment", "web", [{"op": "add", "path": path, "value": added}], "kubectl-edit", JSON_PATCH)
    await world.apply(deployment({"name": "main", "image": "example/app:1"}), remove_unnamed=True)
    (found,) = (await world.get("Deployment", "web"))["spec"]["template"]["spec"]["containers"]
    assert found["env"] == [added]


async def test_restart_notes_of_a_person_are_kept_by_an_apply_that_does_not_name_them(world: World) -> None:
    await world.apply(deployment())
    note = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    await world.patch("Deployment", "web", note, "kubectl-rollout")
    await world.apply(container(image="example/app:2"))
    template = (await world.get("Deployment", "web"))["spec"]["template"]
    assert template["metadata"]["annotations"] == {"kubectl.kubernetes.io/restartedAt": "now"}


async def test_duplicate_items_in_a_body_are_a_bad_request(world: World) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    with pytest.raises(BadRequest, match="duplicate entries"):
        await world.plan(deployment({"name": "main", "image": "example/app:1", "env": env}))


async def test_a_hidden_value_is_never_compared_and_its_owner_is_asked_by_managed_fields(world: World) -> None:
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}}
    await world.apply({**body, "stringData": {"a": "one-secret-value"}})
    for guess in ("one-secret-value", "another-guess-xx"):
        plan = await world.plan({**body, "stringData": {"a": guess}})
        (change,) = plan.fields
        assert (change.path, change.after, change.hidden) == ("data.a", f"{len(guess)} bytes", True)
    value = b64encode(b"one-secret-value").decode()
    await world.patch("Secret", "login", {**body, "data": {"a": value}}, "argocd-controller", APPLY)
    with pytest.raises(FieldConflict, match=r"owns data\.a"):
        await world.plan({**body, "stringData": {"a": "one-secret-value"}})


async def test_null_removes_a_whole_list_in_which_a_person_added_an_item(world: World) -> None:
    await world.apply(deployment({"name": "main", "image": "example/app:1", "env": [{"name": "A", "value": "1"}]}))
    path = "/spec/template/spec/containers/0/env/-"
    added = [{"op": "add", "path": path, "value": {"name": "B", "value": "2"}}]
    await world.patch("Deployment", "web", added, "kubectl-edit", JSON_PATCH)
    made = await world.apply(container(env=None))
    assert {one.path.rpartition("env")[2] for one in made.change.removals} == {
        "[A].name", "[A].value", "[B].name", "[B].value",
    }  # fmt: skip
    (found,) = (await world.get("Deployment", "web"))["spec"]["template"]["spec"]["containers"]
    assert "env" not in found


async def test_null_removes_finalizers_that_nobody_owns_or_only_some_of_which_are_owned(world: World) -> None:
    await world.apply(config_map({"a": "1"}, finalizers=["example.com/one"]))
    there = await world.get("ConfigMap", "settings")
    there["metadata"]["managedFields"] = [{}]
    await world.http.put(world.path("ConfigMap", "settings"), params={"fieldManager": "someone"}, json=there)
    await world.apply(config_map(finalizers=["example.com/two"]))
    found = (await world.get("ConfigMap", "settings"))["metadata"]
    assert set(found["finalizers"]) == {"example.com/one", "example.com/two"}
    await world.apply(config_map(finalizers=None))
    assert "finalizers" not in (await world.get("ConfigMap", "settings"))["metadata"]


async def test_a_manifest_that_was_read_is_held_to_the_version_that_it_names(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    read = (await world.get("ConfigMap", "settings"))["metadata"]
    await world.apply(config_map({"a": "2"}))
    with pytest.raises(Conflict, match="has another resourceVersion than the manifest"):
        await world.plan(config_map({"a": "3"}, resourceVersion=read["resourceVersion"]))
    with pytest.raises(Conflict, match="has another uid than the manifest"):
        await world.plan(config_map({"a": "3"}, uid="3f1f8a0e-4a3b-4a5c-9f6a-2d8b7c6e5f40"))
    await world.apply(config_map({"a": "3"}, uid=read["uid"]))


async def test_a_deleted_object_is_made_again_from_what_was_read_of_it(world: World) -> None:
    await world.apply(config_map({"a": "1"}))
    read = (await world.get("ConfigMap", "settings"))["metadata"]
    await world.http.delete(world.path("ConfigMap", "settings"))
    kept = {key: read[key] for key in ("uid", "resourceVersion", "creationTimestamp")}
    await world.apply(config_map({"a": "1"}, **kept))
    assert (await world.get("ConfigMap", "settings"))["metadata"]["uid"] != read["uid"]


@pytest.mark.parametrize("field", ["initContainers", "containers"])
async def test_another_order_of_containers_is_a_change_that_is_shown_and_made(world: World, field: str) -> None:
    def body(*names: str) -> dict[str, Any]:
        found = deployment()
        found["spec"]["template"]["spec"][field] = [{"name": name, "image": "example/app:1"} for name in names]
        return found

    await world.apply(body("migrate", "warm-up"))
    made = await world.apply(body("warm-up", "migrate"))
    path = f"spec.template.spec.{field} (order)"
    assert lines(made.change) == {path: ("migrate, warm-up", "warm-up, migrate")}
    found = (await world.get("Deployment", "web"))["spec"]["template"]["spec"][field]
    assert [one["name"] for one in found] == ["warm-up", "migrate"]
    assert (await world.plan(body("warm-up", "migrate"))).action is Action.NONE


async def test_another_order_of_variables_is_a_change_and_a_new_one_between_them_is_not(world: World) -> None:
    def body(*names: str) -> dict[str, Any]:
        return container(env=[{"name": name, "value": "1"} for name in names])

    await world.apply(deployment())
    await world.apply(body("HOST", "URL"))
    plan = await world.plan(body("HOST", "PORT", "URL"))
    env = "spec.template.spec.containers[main].env"
    assert set(lines(plan)) == {f"{env}[PORT].name", f"{env}[PORT].value"}
    made = await world.apply(body("URL", "HOST"))
    assert lines(made.change) == {f"{env} (order)": ("HOST, URL", "URL, HOST")}
    found = (await world.get("Deployment", "web"))["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [one["name"] for one in found] == ["URL", "HOST"]
