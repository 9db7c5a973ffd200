"""What a model, or a person who knows kubectl, asks at first, works."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio


def _pod(name: str, *containers: dict[str, Any]) -> dict[str, Any]:
    spec = {"containers": [{"image": "example/app:1", **one} for one in containers]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


@pytest.fixture
def planted(sandbox: Any) -> Any:
    sandbox.plant(_pod("web", {"name": "a", "livenessProbe": {"httpGet": {"port": 1}}}, {"name": "b"}))
    sandbox.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "default"}})
    return sandbox


@pytest.mark.usefixtures("planted")
async def test_several_kinds_are_listed_one_below_the_other(ask: Any, text: Any) -> None:
    said = text(await ask("k8s_get", kind="pods,cm"))
    assert said.index("== pods\nNAME") < said.index("== cm\nNAME")


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("kind", ["pod/web", "pods/web", "v1/Pod/web"])
async def test_kind_and_name_in_one_are_the_object(ask: Any, text: Any, kind: str) -> None:
    assert text(await ask("k8s_get", kind=kind)) == text(await ask("k8s_get", kind="pod", name="web"))


@pytest.mark.usefixtures("planted")
async def test_several_objects_are_shown_and_one_that_is_not_there_hides_no_other(ask: Any, text: Any) -> None:
    said = text(await ask("k8s_get", kind="pod/web,cm/web,svc/nope", output="names"))
    assert "== pod/web\nweb" in said
    assert "== cm/web\nweb" in said
    assert "== svc/nope\nThere is no" in said


@pytest.mark.usefixtures("planted")
async def test_a_version_before_a_kind_is_no_name(ask: Any, text: Any) -> None:
    assert "web" in text(await ask("k8s_get", kind="v1/ConfigMap"))


async def test_two_names_for_one_object_are_refused(ask: Any) -> None:
    result = await ask("k8s_get", kind="pod/web", name="other")
    assert (result.meta or {})["code"] == "bad_request"


@pytest.mark.parametrize("kind", ["", ",", "pod/..", "pod/../secrets", "pods,%2e%2e", "pod/", "/web", "a," * 9 + "a"])
async def test_what_is_no_list_of_kinds_is_refused(ask: Any, sandbox: Any, kind: str) -> None:
    sandbox.clear_requests()
    assert (await ask("k8s_get", kind=kind)).is_error
    assert sandbox.requests == []


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize("path", [".spec.containers[*].livenessProbe", ".spec.containers.livenessProbe"])
async def test_what_an_element_of_a_list_lacks_is_a_dash_in_its_place(ask: Any, text: Any, path: str) -> None:
    columns = f"NAMES:.spec.containers[*].name,PROBES:{path}.httpGet.port"
    assert text(await ask("k8s_get", kind="pod", name="web", columns=columns)).splitlines()[1] == "a,b\t1,-"


@pytest.mark.parametrize("since_s", [60, 3600])
async def test_events_are_those_of_the_last_seconds_where_that_is_asked(
    ask: Any, text: Any, sandbox: Any, since_s: int
) -> None:
    from datetime import UTC, datetime, timedelta

    for name, age_s in (("fresh", 10), ("old", 600)):
        moment = f"{datetime.now(UTC) - timedelta(seconds=age_s):%Y-%m-%dT%H:%M:%SZ}"
        about = {"kind": "Pod", "name": name, "namespace": "default"}
        sandbox.plant({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"},
            "involvedObject": about, "type": "Warning", "reason": "Testing", "message": name, "lastTimestamp": moment,
        })  # fmt: skip
    said = text(await ask("k8s_events", since_s=since_s))
    assert "fresh" in said
    assert ("old" in said) == (since_s == 3600)
