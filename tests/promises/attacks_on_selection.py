"""Attacks that select from a text, cut it, or guess at it. `test_attacks_on_text` plays them."""

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from klepaas.testing import scale_timeout

from .attack_registry import attack
from .attack_world import World, definition, obj

# Selections from a log.


def key(world: World, lines: int = 24) -> list[str]:
    """A private key that holds the secret in each of its lines."""
    filling = base64.b64encode(bytes(range(200))).decode()
    body = [f"{filling[at : at + 40]}{world.secret}"[:64] for at in range(lines)]
    return ["-----BEGIN RSA PRIVATE KEY-----", *body, f"{world.secret[:12]}==", "-----END RSA PRIVATE KEY-----"]


async def with_log(world: World, *lines: str) -> None:
    """A running pod `web` that has logged these lines."""
    world.fake.set_log(world.namespace, "web", "\n".join(lines) + "\n")
    if world.fake.get("pods", "web", world.namespace) is None:
        await world.plant(obj("Pod", "web", spec={"containers": [{"name": "main", "image": "example/app:1"}]}))
        await until_running(world, "web")


async def until_running(world: World, name: str) -> None:
    with anyio.fail_after(scale_timeout(10)):
        while (world.fake.get("pods", name, world.namespace) or {}).get("status", {}).get("phase") != "Running":
            await world.fake.changed()


@attack("the tail of a log begins within a key")
async def _tail(world: World) -> list[str]:
    await with_log(world, "ready", *key(world), "served")
    return [await world.ask("k8s_logs", name="web", tail_lines=lines) for lines in (2, 3, 4, 10, 26)]


@attack("the log ends within a key")
async def _open_key(world: World) -> list[str]:
    await with_log(world, "ready", *key(world)[:9])
    return [await world.ask("k8s_logs", name="web", tail_lines=lines) for lines in (1, 3, 100)]


@attack("a search finds the lines of a key alone")
async def _grep_key(world: World) -> list[str]:
    await with_log(world, "ready", *key(world), "served")
    asked = ("END RSA", world.secret[:8], "a|e|i", "==", "AAEC.*x")
    return [
        await world.ask("k8s_logs", name="web", grep=grep, context_lines=lines) for grep in asked for lines in (0, 2)
    ]


@attack("a key stands behind the time that a program writes before each line")
async def _prefixed_key(world: World) -> list[str]:
    await with_log(world, *(f"2026-11-30T09:00:00Z INFO {line}" for line in key(world)))
    return [await world.ask("k8s_logs", name="web", tail_lines=lines) for lines in (2, 3, 5, 100)]


@attack("a line of a log is cut in the middle of a token")
async def _line(world: World) -> list[str]:
    shown = []
    for before in (1960, 1980, 1990, 8150, 8180):
        await with_log(world, "x" * before + f" ghp_{world.secret}{world.secret} " + "y" * 9000)
        shown.append(await world.ask("k8s_logs", name="web"))
    return shown


@attack("a JSON value stands on the line below its name")
async def _json_lines(world: World) -> list[str]:
    await with_log(world, "{", '  "password":', f'    "{world.secret}"', "}")
    return [await world.ask("k8s_logs", name="web", tail_lines=lines) for lines in (1, 2, 3)]


@attack("a YAML block stands below its name")
async def _yaml_lines(world: World) -> list[str]:
    await with_log(world, "db:", "  password: |", f"    {world.secret}", f"    {world.secret}", "  host: db")
    return [
        *[await world.ask("k8s_logs", name="web", tail_lines=lines) for lines in (2, 3, 5)],
        await world.ask("k8s_logs", name="web", grep=world.secret[3:9]),
    ]


@attack("a quoted value goes on for lines")
async def _quoted_lines(world: World) -> list[str]:
    await with_log(world, 'api_key: "begins', f"{world.secret} middle", f'{world.secret} ends"', "served")
    return [await world.ask("k8s_logs", name="web", tail_lines=lines) for lines in (2, 3)]


@attack("the last lines of a crash are cut in the middle of a token")
async def _last_words(world: World) -> list[str]:
    labels = {"app": "bad"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "image": "example/app:crash"}]},
    }
    lines = [f"{'x' * before} ghp_{world.secret}{world.secret} more" for before in (170, 180, 190, 196)]
    world.fake.set_log(world.namespace, "bad", "\n".join([*key(world), *lines]) + "\n")
    await world.plant(obj("Deployment", "bad", spec={"selector": {"matchLabels": labels}, "template": template}))
    with anyio.fail_after(scale_timeout(20)):
        while "CrashLoopBackOff" not in (shown := await world.ask("get_deployment_status", app_name="bad")):
            await world.fake.changed()
    return [shown, await world.ask("get_overview")]


# Cuts of other answers.


@attack("a cell of a chosen column is cut in the middle of a token", everywhere=True)
async def _cell(world: World) -> list[str]:
    shown = []
    for at, before in enumerate((1950, 1980, 1990)):
        text = "x" * before + f" ghp_{world.secret}{world.secret} " + "y" * 500
        await world.plant(obj("ConfigMap", f"long{at}", data={"notes": text}))
        shown.append(await world.ask("k8s_get", kind="configmap", name=f"long{at}", columns="N:.data.notes"))
        shown.append(await world.ask("k8s_get", kind="configmap", name=f"long{at}", output="yaml"))
    return shown


@attack("a difference is cut in the middle of a token", everywhere=True)
async def _difference(world: World) -> list[str]:
    shown = []
    for at, before in enumerate((110, 130, 150, 156)):
        text = "x" * before + f" ghp_{world.secret}{world.secret}"
        await world.plant(obj("ConfigMap", f"long{at}", data={"notes": text}))
        shown.append(await world.dry_run(obj("ConfigMap", f"long{at}", data={"notes": "z"}), take_ownership=True))
    return shown


@attack("an answer is cut in the middle of a document that holds a key", everywhere=True)
async def _document(world: World) -> list[str]:
    shown = []
    for before in (9_000, 9_500, 9_800):
        name = f"big{before}"
        await world.plant(obj("ConfigMap", name, data={"a": "x\n" * (before // 2), "b": "\n".join(key(world))}))
        shown.append(await world.ask("k8s_get", kind="configmap", output="yaml"))
    return shown


# Guesses: each answers the same to the right one and to a wrong one.


async def guess(world: World, ask: Callable[[str], Awaitable[str]]) -> list[str]:
    """Ask with the secret and with another value, and hold the answers to each other."""
    right, wrong = await ask(world.secret), await ask(world.wrong)
    assert world.anonymous(right, world.secret) == world.anonymous(wrong, world.wrong)
    return [right.replace(world.secret, ""), wrong]


@attack("a search tries a password")
async def _grep(world: World) -> list[str]:
    await with_log(
        world, "ready", f"login with password={world.secret} done", f"Authorization: Bearer {world.secret}a1"
    )
    return [
        *await guess(world, lambda value: world.ask("k8s_logs", name="web", grep=value)),
        *await guess(world, lambda value: world.ask("k8s_logs", name="web", grep=f"password={value[:4]}")),
        *await guess(world, lambda value: world.ask("k8s_logs", name="web", grep=f"with.*{value[-3:]} done")),
    ]


@attack("a search tries the letters of the mark")
async def _mark(world: World) -> list[str]:
    await with_log(world, "x", f"password={world.secret}", "x")
    shown = [await world.ask("k8s_logs", name="web", grep=letters) for letters in ("redacted", "‹", "acted›")]
    assert all("0 of 3 lines" in one for one in shown), shown
    return shown


@attack("a level is read from within a password")
async def _level(world: World) -> list[str]:
    shown = []
    for password in ("[error] Zq7 x", "[debug] Zq7 x"):
        await with_log(world, "INFO ready", f'login password="{password}"', "INFO served")
        shown.append(await world.ask("k8s_logs", name="web", level="warn"))
    assert world.anonymous(shown[0], world.secret) == world.anonymous(shown[1], world.secret)
    return shown


SECRET_KINDS = ("data", "stringData")


@attack("a dry run tries the value of a Secret", everywhere=True)
async def _secret_data(world: World) -> list[str]:
    await world.plant(obj("Secret", "s", stringData={"pin": world.secret}))
    shown = []
    for section in SECRET_KINDS:
        for more in ({}, {"take_ownership": True}):

            async def ask(value: str, section: str = section, more: dict[str, Any] = more) -> str:
                text = value if section == "stringData" else base64.b64encode(value.encode()).decode()
                return await world.dry_run(obj("Secret", "s", **{section: {"pin": text}}), **more)

            shown += await guess(world, ask)
    assert "25 bytes, hidden, not compared" in shown[-1]
    assert "unchanged" not in shown[-1]
    return shown


@attack("a dry run tries the value of a Secret that klepaas itself applied", everywhere=True)
async def _own_secret(world: World) -> list[str]:
    await world.ask("k8s_apply", manifests=json.dumps(obj("Secret", "s", stringData={"pin": world.secret})))
    return await guess(world, lambda value: world.dry_run(obj("Secret", "s", stringData={"pin": value})))


@attack("a dry run tries the value of an immutable Secret", everywhere=True)
async def _immutable_secret(world: World) -> list[str]:
    await world.plant(obj("Secret", "s", stringData={"pin": world.secret}, immutable=True))
    return await guess(
        world, lambda value: world.dry_run(obj("Secret", "s", stringData={"pin": value}), take_ownership=True)
    )


@attack("a dry run tries a line of a ConfigMap", everywhere=True)
async def _config_map(world: World) -> list[str]:
    await world.plant(obj("ConfigMap", "c", data={"app.yaml": f"host: db\npassword: {world.secret}\n"}))

    async def ask(value: str) -> str:
        text = f"host: db\npassword: {value}\n"
        return await world.dry_run(obj("ConfigMap", "c", data={"app.yaml": text}), take_ownership=True)

    return await guess(world, ask)


@attack("a dry run tries the password in an address", everywhere=True)
async def _address(world: World) -> list[str]:
    await world.plant(obj("ConfigMap", "c", data={"url": f"postgres://app:{world.secret}@db/app"}))

    async def ask(value: str) -> str:
        manifest = obj("ConfigMap", "c", data={"url": f"postgres://app:{value}@db/app"})
        return await world.dry_run(manifest, take_ownership=True)

    return await guess(world, ask)


@attack("a dry run tries a variable of a pod, which is immutable", everywhere=True)
async def _variable(world: World) -> list[str]:
    def pod(value: str) -> Any:
        env = [{"name": "DB_PASSWORD", "value": value}]
        return obj("Pod", "p", spec={"containers": [{"name": "main", "image": "example/app:1", "env": env}]})

    await world.plant(pod(world.secret))
    return await guess(world, lambda value: world.dry_run(pod(value), take_ownership=True))


@attack("a dry run tries a variable of a job, whose template is immutable", everywhere=True)
async def _job(world: World) -> list[str]:
    def job(value: str) -> Any:
        container = {"name": "main", "image": "example/app:1", "env": [{"name": "DB_PASSWORD", "value": value}]}
        return obj("Job", "j", spec={"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}})

    await world.plant(job(world.secret))
    return await guess(world, lambda value: world.dry_run(job(value), take_ownership=True))


@attack("a pod that may not be changed is printed with its variables", everywhere=True)
async def _pod(world: World) -> list[str]:
    env = [{"name": "DB_PASSWORD", "value": world.secret}]
    pod = obj("Pod", "p", spec={"containers": [{"name": "main", "image": "example/app:1", "env": env}]})
    await world.plant(pod)
    pod["spec"]["containers"][0]["workingDir"] = "/else"
    shown = await world.dry_run(pod, take_ownership=True)
    assert "needs recreation" in shown
    return [shown]


@attack("a dry run tries a variable that another manager owns", everywhere=True)
async def _owned_variable(world: World) -> list[str]:
    labels = {"app": "web"}

    def web(value: str) -> Any:
        container = {"name": "main", "image": "example/app:1", "env": [{"name": "DB_PASSWORD", "value": value}]}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        return obj("Deployment", "web", spec={"selector": {"matchLabels": labels}, "template": template})

    await world.plant(web(world.secret))
    return await guess(world, lambda value: world.dry_run(web(value)))


@attack("a deployment's dry run tries a variable", everywhere=True)
async def _deploy(world: World) -> list[str]:
    labels = {"app": "web"}
    container = {"name": "web", "image": "example/app:1", "env": [{"name": "DB_PASSWORD", "value": world.secret}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    await world.plant(obj("Deployment", "web", spec={"selector": {"matchLabels": labels}, "template": template}))
    shown = []
    for more in ({}, {"take_ownership": True}):

        async def ask(value: str, more: dict[str, Any] = more) -> str:
            variables = [f"DB_PASSWORD={value}"]
            return await world.ask(
                "deploy_application", app_name="web", image="example/app:1", env_vars=variables, dry_run=True, **more
            )

        shown += await guess(world, ask)
    return shown


async def with_vaults(world: World, *, password: Any = None, **version: Any) -> None:
    """The kind `Vault`, once it is served."""
    made = definition(**version)
    if password is not None:
        schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema["properties"]["spec"]["properties"]["password"] = password
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    await world.http.delete(f"{path}/{made['metadata']['name']}")
    with anyio.fail_after(scale_timeout(20)):
        # A real server takes its time, and tells nobody when it serves a new kind.
        while (await world.http.post(path, json=made)).status_code != 201:  # noqa: ASYNC110
            await anyio.sleep(0.05)
        while (await world.http.get("/apis/attack.klepaas.dev/v1/vaults")).status_code != 200:  # noqa: ASYNC110
            await anyio.sleep(0.05)


@attack("a field selector tries a custom resource's password", everywhere=True)
async def _field_selector(world: World) -> list[str]:
    await with_vaults(world, selectableFields=[{"jsonPath": ".spec.password"}, {"jsonPath": ".spec.color"}])
    await world.plant(obj("Vault", "v", spec={"password": world.secret, "color": "red"}))
    shown = []
    for sign in ("=", "==", "!="):

        async def ask(value: str, sign: str = sign) -> str:
            return await world.ask("k8s_get", kind="vaults", field_selector=f"spec.password{sign}{value}")

        shown += await guess(world, ask)
    assert "hidden, and not compared" in shown[-1]
    assert "v" in await world.ask("k8s_get", kind="vaults", field_selector="spec.color=red")
    return shown


@attack("a dry run tries a custom resource's password", everywhere=True)
async def _custom(world: World) -> list[str]:
    await with_vaults(world, password={
        "type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "immutable"}]
    })  # fmt: skip
    await world.plant(obj("Vault", "v", spec={"password": world.secret}))
    return await guess(
        world, lambda value: world.dry_run(obj("Vault", "v", spec={"password": value}), take_ownership=True)
    )


@attack("a filter in a path tries a value", everywhere=True)
async def _filter(world: World) -> list[str]:
    await world.plant(obj("Secret", "s", stringData={"pin": world.secret}))
    await with_vaults(world)
    slots = [{"name": "password", "value": world.secret}]
    await world.plant(obj("Vault", "v", spec={"password": world.secret, "slots": slots}))

    async def ask(value: str) -> str:
        columns = f'A:.spec.slots[?(@.value=="{value}")].name,B:.spec.slots[?(@.value>"{value[:3]}")].name'
        return await world.ask("k8s_get", kind="vaults", columns=columns)

    async def ask_secret(value: str) -> str:
        text = base64.b64encode(value.encode()).decode()
        return await world.ask("k8s_get", kind="secrets", columns=f'A:.data[?(@.pin=="{text}")],B:.data')

    return [*await guess(world, ask), *await guess(world, ask_secret)]


@attack("the order of a list tells which password is the larger one", everywhere=True)
async def _order(world: World) -> list[str]:
    printed = [{"name": "Colour", "type": "string", "jsonPath": ".spec.password"}]
    await with_vaults(world, additionalPrinterColumns=printed)
    for name, value in (("a", "zz" + world.secret), ("b", "aa" + world.secret)):
        await world.plant(obj("Vault", name, spec={"password": value}))
        await world.plant(obj("Secret", name, stringData={"pin": value}))
    shown = [
        await world.ask("k8s_get", kind=kind, sort_by=order, **more)
        for kind, order, more in (
            ("vaults", ".spec.password", {}),
            ("vaults", "Colour", {}),
            ("vaults", "P", {"columns": "N:.metadata.name,P:.spec.password"}),
            ("secrets", ".data.pin", {"columns": "N:.metadata.name"}),
        )
    ]
    for one in shown:
        rows = [line.split("\t")[0] for line in one.splitlines()]
        assert rows.index("a") < rows.index("b"), one
    return shown
