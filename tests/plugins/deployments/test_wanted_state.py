"""After any sequence of changes and other writers, klepaas' own fields are as wanted last, and those of others stay.

The model knows of each variable and of the number of pods the value and the owner, of the image and the ConfigMaps what
they are. After each step it is compared with what the cluster has. `KLEPAAS_TEST_SOAK=1` plays the full number.
"""

import copy
import json
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fastmcp import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from klepaas.app import create_app
from klepaas.settings import Mode, Settings
from klepaas.testing import scale_timeout
from klepaas_plugins.kubernetes.sandbox import Sandbox, Timing, Webhook

from .conftest import Bench, Said

SOAK = os.environ.get("KLEPAAS_TEST_SOAK") == "1"
EXAMPLES, STEPS_MAX = (150, 14) if SOAK else (3, 9)
KLEPAAS, PERSON, CONTROLLER, AUTOSCALER, NOBODY = "klepaas", "kubectl-edit", "argocd-controller", "autoscaler", "nobody"
_MERGE, _APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
_SCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "others"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 1,
        "maxReplicas": 9,
    },
}
Json = dict[str, Any]


@dataclass
class State:
    """What there should be.

    Attributes:
        image: What the container runs.
        env: The variables: value and owner of each.
        replicas: How many pods.
        sized_by: Who owns that number.
        cpu: What is requested of it. None: nothing.
        configs: The ConfigMaps of the application.
    """

    image: str = ""
    env: dict[str, tuple[str, str]] = field(default_factory=dict)
    replicas: int = 1
    sized_by: str = KLEPAAS
    cpu: str | None = None
    configs: frozenset[str] = frozenset()


@dataclass
class Walk:
    """One sequence of changes.

    Attributes:
        bench: klepaas and the cluster.
        wanted: What there should be.
        releases: What there was at each release, by its number.
        found: What there was at releases that klepaas recorded before a change, by their number.
        is_autoscaled: Whether an autoscaler of somebody else targets the workload.
        count: Makes values that are new each time.
    """

    bench: Bench
    wanted: State = field(default_factory=State)
    releases: dict[int, State] = field(default_factory=dict)
    found: dict[int, State] = field(default_factory=dict)
    is_autoscaled: bool = False
    count: int = 0

    def number(self, replicas: int | None) -> int | None:
        """A number of pods to ask for: one that somebody else has set already would be owned by both from then on."""
        is_theirs = replicas == self.wanted.replicas and self.wanted.sized_by != KLEPAAS
        return None if is_theirs else replicas

    def new(self) -> str:
        self.count += 1
        return f"v{self.count}"

    # What klepaas is asked for.

    async def deploy(self, named: list[str], gone: list[str], replicas: int | None, cpu: str | None) -> None:
        """An image with some settings; refused where a controller owns what it names."""
        replicas = self.number(replicas)
        image, variables = f"example/app:{self.new()}", {key: self.new() for key in named}
        arguments = self._arguments(variables, gone, replicas, cpu)
        said = await self.bench.deploy(image=image, **arguments)
        if self._refused(said, [*named, *gone]):
            return
        self._take(image, variables, gone, replicas, cpu)
        self._release(said)

    async def deploy_what_crashes(self, named: list[str], gone: list[str], replicas: int | None) -> None:
        """It is rolled back, so that only who owns what it named has changed, and what was never verified before it."""
        replicas = self.number(replicas)
        before = copy.deepcopy(self.wanted)
        variables = {key: self.new() for key in named}
        said = await self.bench.deploy(
            image=f"example/crash:{self.new()}", **self._arguments(variables, gone, replicas, None)
        )
        if self._refused(said, [*named, *gone], crashes=True):
            return
        number = re.search(r"is rolled back to release (\d+)", said.text)
        assert number, said.text
        self.wanted = before
        if self._went_back_as_well(said, int(number[1])):
            return
        self.found.setdefault(int(number[1]), copy.deepcopy(before))
        for key in {*named, *gone} & set(before.env):
            self.wanted.env[key] = (before.env[key][0], KLEPAAS)
        if replicas is not None and not self.is_autoscaled and before.sized_by != NOBODY:
            # A number that nobody had set is the server's default, which comes back by itself.
            self.wanted.sized_by = KLEPAAS

    async def deploy_what_is_refused(self, how: str) -> None:
        """By admission, or by a fault of the API server: nothing is changed."""
        sandbox = self.bench.sandbox
        if how == "admission":
            sandbox.add_webhook(Webhook(resource="deployments", denies=True, message="not today"))
        else:
            sandbox.fail("PATCH", r"/deployments/web\?(?!.*dryRun)", 422, reason="Invalid", message="no", times=1)
        said = await self.bench.deploy(image=f"example/app:{self.new()}", env_vars=[f"A={self.new()}"])
        sandbox.clear_faults()
        assert said.is_error, said.text

    async def deploy_manifests(self, named: list[str], replicas: int | None, configs: list[str]) -> None:
        """The whole application: what klepaas set and they lack is removed."""
        replicas = self.number(replicas)
        image, variables = f"example/app:{self.new()}", {key: self.new() for key in named}
        text = "\n---\n".join(json.dumps(one) for one in _objects(image, variables, replicas, configs))
        said = await self.bench.call("deploy_application", app_name="web", manifests=text)
        if self._refused(said, named):
            return
        ours = [key for key, (_, owner) in self.wanted.env.items() if owner == KLEPAAS and key not in named]
        self._let_go([key for key, (_, owner) in self.wanted.env.items() if owner == PERSON and key not in named], said)
        if replicas is None and self.wanted.sized_by == KLEPAAS and not self.is_autoscaled:
            self.wanted.replicas, self.wanted.sized_by = 1, NOBODY
        self._take(image, variables, ours, replicas, None)
        self.wanted.cpu, self.wanted.configs = None, frozenset(configs)
        self._release(said)

    async def scale(self, replicas: int) -> None:
        said = await self.bench.call("scale_application", app_name="web", replicas=replicas)
        assert said.is_error == self.is_autoscaled, said.text
        if not self.is_autoscaled and replicas != self.wanted.replicas:
            self.wanted.replicas, self.wanted.sized_by = replicas, KLEPAAS
            self._release(said)

    async def restart(self) -> None:
        said = await self.bench.call("restart_application", app_name="web")
        assert not said.is_error, said.text
        self._hand_over()
        self._release(said)

    async def apply_a_part(self, key: str) -> None:
        """k8s_apply changes what is named."""
        value = self.new()
        pod = {"containers": [{"name": "web", "env": [{"name": key, "value": value}]}]}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
        said = await self.bench.call("k8s_apply", manifests=json.dumps({**body, "spec": {"template": {"spec": pod}}}))
        if not self._refused(said, [key]):
            self.wanted.env[key] = (value, KLEPAAS)
            self._hand_over()

    async def roll_back(self, which: int) -> None:
        """What controllers own stays and is named, or is refused; what people changed is taken back."""
        if not self.releases:
            return
        number = sorted(self.releases)[which % len(self.releases)]
        said = await self.bench.call("rollback_deployment", app_name="web", release=number)
        then, now = self.releases[number], self.wanted
        if said.is_error:
            # A controller took what klepaas owned in the release: nobody said that it may be taken back.
            taken = [key for key, (_, owner) in now.env.items() if owner == CONTROLLER and key in then.env]
            assert any(f"env[{key}]" in said.text for key in taken), said.text
            assert "take_ownership=true" in said.text, said.text
            return
        for key, (value, owner) in now.env.items():
            if owner == CONTROLLER and then.env.get(key, ("",))[0] != value:
                assert f"env[{key}]" in said.text, said.text
        self.wanted = replace(copy.deepcopy(then), replicas=now.replicas, sized_by=now.sized_by, env=_env(then, now))
        self._let_go([one for one, (_, owner) in now.env.items() if owner == PERSON and one not in then.env], said)
        live = self.live()["spec"]["replicas"]
        # A number that was scaled to since stays; who is to have set it since is another test's affair.
        assert live == now.replicas or (live == then.replicas and not self.is_autoscaled), said.text
        if live != now.replicas or (now.sized_by == AUTOSCALER and not self.is_autoscaled):
            self.wanted.replicas, self.wanted.sized_by = live, KLEPAAS if live != now.replicas else self.sizer()
        if self.is_autoscaled and now.sized_by == KLEPAAS and self.sizer() == AUTOSCALER:
            # A rollback to what runs already writes nothing, so it hands nothing over.
            self._hand_over()
        if then.sized_by == NOBODY and self.wanted.sized_by == KLEPAAS and self.sizer() == NOBODY:
            # In that release klepaas had named no number.
            self.wanted.sized_by = NOBODY
        self._release(said)

    # What others do.

    async def edit_by_a_person(self, key: str) -> None:
        """They change a variable that is there."""
        if key in self.wanted.env and self.wanted.env[key][1] != CONTROLLER:
            value = self.new()
            await self._write(PERSON, {"template": {"spec": _container(key, value)}}, _MERGE)
            self.wanted.env[key] = (value, PERSON)

    async def add_by_a_controller(self, key: str) -> None:
        """It sets a variable, whoever owned it."""
        value = self.new()
        names = {one for one, (_, owner) in self.wanted.env.items() if owner == CONTROLLER} | {key}
        values = {one: self.wanted.env[one][0] if one != key else value for one in sorted(names)}
        env = [{"name": name, "value": text} for name, text in values.items()]
        await self._write(CONTROLLER, {"template": {"spec": {"containers": [{"name": "web", "env": env}]}}}, _APPLY)
        self.wanted.env[key] = (value, CONTROLLER)

    async def scale_by_a_person(self, replicas: int) -> None:
        if not self.is_autoscaled and replicas != self.wanted.replicas:
            await self._write("kubectl", {"replicas": replicas}, _MERGE, "/scale")
            self.wanted.replicas, self.wanted.sized_by = replicas, PERSON

    async def autoscale(self, replicas: int) -> None:
        """An autoscaler comes, or goes."""
        if self.is_autoscaled:
            self.bench.sandbox.delete("HorizontalPodAutoscaler", "others")
        else:
            self.bench.sandbox.create(copy.deepcopy(_SCALER))
            if replicas != self.wanted.replicas:
                await self._write("kube-controller-manager", {"replicas": replicas}, _MERGE, "/scale")
                self.wanted.replicas, self.wanted.sized_by = replicas, AUTOSCALER
        self.is_autoscaled = not self.is_autoscaled

    async def _write(self, manager: str, spec: Json, media_type: str, part: str = "") -> None:
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
        url = f"{self.bench.sandbox.url}/apis/apps/v1/namespaces/default/deployments/web{part}"
        async with httpx.AsyncClient(timeout=scale_timeout(15), trust_env=False) as http:
            answer = await http.patch(
                url,
                params={"fieldManager": manager, **({"force": "true"} if media_type == _APPLY else {})},
                content=json.dumps({"spec": spec} if part else body),
                headers={"content-type": media_type},
            )
        assert answer.status_code == 200, answer.text

    # What is expected then.

    def _arguments(self, variables: dict[str, str], gone: list[str], replicas: int | None, cpu: str | None) -> Json:
        texts = [*(f"{key}={value}" for key, value in variables.items()), *gone]
        found: Json = {"env_vars": texts} if texts else {}
        found |= {"replicas": replicas} if replicas is not None else {}
        return found | ({"resources": {"cpu": cpu}} if cpu is not None else {})

    def _refused(self, said: Said, named: list[str], *, crashes: bool = False) -> bool:
        """Whether a controller owns what was named; then it is refused with the controller's name."""
        theirs = any(self.wanted.env.get(key, ("", ""))[1] == CONTROLLER for key in named)
        if theirs:
            assert said.is_error, said.text
            assert CONTROLLER in said.text, said.text
            assert "take_ownership=true" in said.text, said.text
        else:
            assert said.is_error == crashes, said.text
        return theirs

    def _take(
        self, image: str, variables: dict[str, str], gone: list[str], replicas: int | None, cpu: str | None
    ) -> None:
        self.wanted.image, self.wanted.cpu = image, cpu or self.wanted.cpu
        self.wanted.env |= {key: (value, KLEPAAS) for key, value in variables.items()}
        for key in gone:
            self.wanted.env.pop(key, None)
        if replicas is not None and not self.is_autoscaled:
            self.wanted.replicas, self.wanted.sized_by = replicas, KLEPAAS
        self._hand_over()

    def _hand_over(self) -> None:
        """Beside an autoscaler the number that klepaas has set becomes the autoscaler's with the next change."""
        if self.is_autoscaled and self.wanted.sized_by == KLEPAAS:
            self.wanted.sized_by = AUTOSCALER

    def _went_back_as_well(self, said: Said, number: int) -> bool:
        """Whether what was changed before and never verified has gone back too; which fields these are is said."""
        line = next((line for line in said.text.splitlines() if "so it went back as well: " in line), None)
        if line is None:
            return False
        then, now = {**self.found, **self.releases}[number], self.wanted
        self.wanted = replace(copy.deepcopy(then), replicas=now.replicas, sized_by=now.sized_by, env=_env(then, now))
        for key in {*then.env, *now.env}:
            is_other = self.wanted.env.get(key, ("",))[0] != now.env.get(key, ("",))[0]
            assert (f"env[{key}]" in line) == is_other, said.text
        return True

    def _let_go(self, keys: list[str], said: Said) -> None:
        """What klepaas had added and a person changed goes with what they set where it is not wanted; it is named."""
        there = self.bench.env()
        for key in [one for one in keys if one not in there]:
            assert f"env[{key}]" in said.text, said.text
            del self.wanted.env[key]

    def _release(self, said: Said) -> None:
        number = re.search(r"\brelease (\d+)", said.text)
        if number:
            self.releases[int(number[1])] = copy.deepcopy(self.wanted)

    # What there is.

    def live(self) -> Json:
        found = self.bench.sandbox.get("Deployment", "web")
        assert found is not None
        return found

    def sizer(self) -> str:
        return _owner(self.live(), lambda fields: "f:replicas" in (fields.get("f:spec") or {}))

    def check(self) -> None:
        """Compare what there is with what there should be."""
        live = self.live()
        assert _entries(live) == {("klepaas", "Apply", "")}, "one entry, of operation Apply, on the object itself"
        (container,) = live["spec"]["template"]["spec"]["containers"]
        found = {one["name"]: (one["value"], _owner_of(live, one["name"])) for one in container.get("env") or ()}
        assert found == self.wanted.env
        assert container["image"] == self.wanted.image
        assert (container.get("resources") or {}).get("requests", {}).get("cpu") == self.wanted.cpu
        assert (live["spec"]["replicas"], self.sizer()) == (self.wanted.replicas, self.wanted.sized_by)
        # Without the records of releases, which are created once and not applied.
        there = self.bench.sandbox.list("ConfigMap", "default")
        configs = [one for one in there if "data" in one and "binaryData" not in one]
        ours = {one["metadata"]["name"] for one in configs if one["metadata"]["name"].startswith("config-")}
        assert ours == self.wanted.configs
        for one in configs:
            assert _entries(one) <= {("klepaas", "Apply", "")}


def _env(then: State, now: State) -> dict[str, tuple[str, str]]:
    """The variables after a rollback."""
    found = {key: held for key, held in now.env.items() if held[1] != KLEPAAS}
    for key, (value, _) in then.env.items():
        there = now.env.get(key, ("", NOBODY))
        if there[1] in (KLEPAAS, NOBODY) or (there[1] == PERSON and there[0] != value):
            found[key] = (value, KLEPAAS)
    return found


def _entries(obj: Json) -> set[tuple[str, str, str]]:
    """klepaas' entries."""
    found = obj["metadata"]["managedFields"]
    named = [(one["manager"], one["operation"], one.get("subresource", "")) for one in found]
    assert len(named) == len(set(named))
    return {one for one in named if one[0] == "klepaas"}


def _owner_of(live: Json, name: str) -> str:
    """Who owns a variable's value; its name may be of several."""

    def owns(fields: Json) -> bool:
        node: Any = fields
        for step in ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"web"}', "f:env"):
            node = node.get(step) or {}
        return "f:value" in (node.get(f'k:{{"name":"{name}"}}') or {})

    return _owner(live, owns)


def _owner(live: Json, owns: Callable[[Json], bool]) -> str:
    found = {one["manager"] for one in live["metadata"]["managedFields"] if owns(one["fieldsV1"])}
    assert len(found) <= 1, found
    names = {"kubectl": PERSON, "kube-controller-manager": AUTOSCALER}
    return next((names.get(one, one) for one in found), NOBODY)


def _container(key: str, value: str) -> Json:
    return {"containers": [{"name": "web", "env": [{"name": key, "value": value}]}]}


def _objects(image: str, variables: dict[str, str], replicas: int | None, configs: list[str]) -> list[Json]:
    marks = {"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "web"}
    env = [{"name": key, "value": value} for key, value in variables.items()]
    container = {"name": "web", "image": image, **({"env": env} if env else {})}
    template = {"metadata": {"labels": marks}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": marks}, "template": template}
    spec |= {"replicas": replicas} if replicas is not None else {}
    found = [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}]
    return [
        *found,
        *(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}}
            for name in configs
        ),
    ]


_KEYS = st.lists(st.sampled_from("ABC"), max_size=2, unique=True)
_NUMBERS = st.one_of(st.none(), st.integers(1, 3))
_CONFIGS = st.lists(st.sampled_from(["config-a", "config-b"]), max_size=2, unique=True)
_DISJOINT = st.tuples(_KEYS, _KEYS).map(lambda both: (both[0], [key for key in both[1] if key not in both[0]]))


def _step(name: str, *arguments: Any) -> Any:
    return st.tuples(st.just(name), st.tuples(*arguments))


_STEPS = st.one_of(
    st.tuples(_DISJOINT, _NUMBERS, st.sampled_from([None, "100m", "200m"])).map(
        lambda one: ("deploy", (*one[0], one[1], one[2]))
    ),
    st.tuples(_DISJOINT, _NUMBERS).map(lambda one: ("deploy_what_crashes", (*one[0], one[1]))),
    _step("deploy_what_is_refused", st.sampled_from(["admission", "fault"])),
    _step("deploy_manifests", _KEYS, _NUMBERS, _CONFIGS),
    _step("scale", st.integers(1, 3)),
    _step("restart"),
    _step("apply_a_part", st.sampled_from("ABC")),
    _step("roll_back", st.integers(0, 9)),
    _step("edit_by_a_person", st.sampled_from("ABC")),
    _step("add_by_a_controller", st.sampled_from("AX")),
    _step("scale_by_a_person", st.integers(1, 3)),
    _step("autoscale", st.integers(1, 3)),
)


@asynccontextmanager
async def _bench(folder: Path) -> Any:
    timing = replace(Timing.instant(), deadline_scale=0.1, autoscaler_s=3600.0)
    async with Sandbox(timing) as sandbox:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", str(sandbox.write_kubeconfig(folder / "kubeconfig")))
            state = folder / f"state-{sandbox.url.rpartition(':')[2]}"
            app = create_app(Settings(mode=Mode.WRITES, external_plugins=False, strict_plugins=True, state_dir=state))

            async def confirm(*_: Any) -> dict[str, bool]:
                return {"confirm": True}

            async with Client(app.server, elicitation_handler=confirm) as client:
                yield Bench(sandbox, client, app.host)


async def _play(folder: Path, steps: list[tuple[str, tuple[Any, ...]]]) -> None:
    async with _bench(folder) as bench:
        walk = Walk(bench)
        await walk.deploy(["A"], [], 2, None)
        walk.check()
        for name, arguments in steps:
            act: Callable[..., Awaitable[None]] = getattr(walk, name)
            await act(*arguments)
            walk.check()


@pytest.mark.timeout(scale_timeout(3600 if SOAK else 90))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not SOAK,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(steps=st.lists(_STEPS, min_size=STEPS_MAX - 2, max_size=STEPS_MAX))
def test_after_any_sequence_klepaas_own_fields_are_as_wanted_last_and_those_of_others_stay(
    tmp_path: Path, steps: Any
) -> None:
    anyio.run(_play, tmp_path, steps)


def test_what_was_applied_and_never_verified_goes_back_with_the_deployment_that_fails_after_it(tmp_path: Path) -> None:
    anyio.run(_play, tmp_path, [("apply_a_part", ("C",)), ("deploy_what_crashes", ([], [], None))])
