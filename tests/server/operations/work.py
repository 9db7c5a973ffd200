"""Kinds of operations that work on a warehouse, and a process that carries them out."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx
from pydantic import SecretStr

from klepaas.errors import Forbidden, RateLimited, Unavailable
from klepaas.host import Host
from klepaas.operations import Interrupted, Kind, Operation, OperationCancelled, Operations, Outcome, Run, State
from klepaas.operations.timing import Timing
from klepaas.principals import Principal
from klepaas.resilience.errors import NotSent, OutcomeUnknown
from klepaas.settings import Mode, Settings
from klepaas.store import Store

ANNA = Principal("anna", "stdio", 1001, "some client")
BERT = Principal("bert", "stdio", 1002, "some client")
# The lease of a process of its own, in seconds.
LEASE_VARIABLE = "LEASE_OF_TESTS"
QUICK = Timing(lease_s=0.6, heartbeat_s=0.15, look_s=0.2, first_look_s=0.01, stop_grace_s=1.0, conclude_s=5.0)
CLIENT_LIMIT_S = 0.25
VISIBLE_AFTER_S = 1.0
STEPS: Mapping[str, tuple[str, ...]] = {
    "deploy": ("config", "workload", "release"),
    "rollback": ("restore", "mark"),
    "scale": ("scale",),
}


class Work:
    """What the kinds do.

    Args:
        url: The warehouse's address.
        limit_s: How long an answer of it is waited for, in seconds.
    """

    def __init__(self, url: str, limit_s: float = CLIENT_LIMIT_S) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=limit_s, limits=httpx.Limits(max_connections=200))

    def kinds(self) -> dict[str, Kind]:
        found = {name: Kind(name, self._run, deadline_s=60, tidy=self._tidy, retries=20) for name in STEPS}
        found["wait"] = Kind("wait", self._wait, deadline_s=60)
        found["leave"] = Kind("leave", self._run, deadline_s=60, retries=20)
        return found

    async def aclose(self) -> None:
        await self._client.aclose()

    async def make(self, run: Run, step: str) -> dict[str, Any]:
        thing = f"/things/{run.operation.id}/{step}"

        async def do() -> dict[str, Any]:
            await self._changed("POST", thing)
            return {"thing": thing}

        async def find() -> dict[str, Any] | None:
            return {"thing": thing} if await self._is_there(thing) else None

        return await run.step(step, do, find=find, visible_after_s=VISIBLE_AFTER_S)

    async def _run(self, run: Run) -> Outcome:
        steps = run.operation.request.get("steps") or STEPS[run.operation.kind]
        for number, step in enumerate(steps, 1):
            await self.make(run, step)
            await run.report(number, len(steps), f"{step} is made")
        return Outcome(State.SUCCEEDED, f"{len(steps)} things are made", {"steps": len(steps)})

    async def _wait(self, run: Run) -> Outcome:
        await self.make(run, "before")
        await run.report(1, 2, "waiting")
        await anyio.sleep(run.operation.request.get("for_s", 30))
        await self.make(run, "after")
        return Outcome(State.SUCCEEDED, "waited")

    async def _tidy(self, run: Run, reason: Interrupted) -> Outcome:
        for step in reversed(run.operation.request.get("steps") or STEPS[run.operation.kind]):
            thing = f"/things/{run.operation.id}/{step}"

            async def do(thing: str = thing) -> dict[str, Any]:
                await self._changed("DELETE", thing)
                return {}

            async def find(thing: str = thing) -> dict[str, Any] | None:
                return None if await self._is_there(thing) else {}

            await run.step(f"undo {step}", do, find=find)
        state = State.CANCELLED if isinstance(reason, OperationCancelled) else State.FAILED
        return Outcome(state, "all is taken back")

    async def _changed(self, method: str, thing: str) -> None:
        try:
            answer = await self._client.request(method, thing)
        except httpx.ConnectError as exc:
            raise NotSent("the warehouse cannot be reached") from exc
        except httpx.HTTPError as exc:
            raise OutcomeUnknown("the warehouse gave no answer") from exc
        if answer.status_code == 403:
            raise Forbidden("the warehouse refuses")
        if answer.status_code == 429:
            raise RateLimited("the warehouse is busy")
        if answer.status_code != 200:
            raise OutcomeUnknown("the warehouse failed")

    async def _is_there(self, thing: str) -> bool:
        try:
            answer = await self._client.get(thing)
        except httpx.HTTPError as exc:
            raise Unavailable("the warehouse cannot be asked") from exc
        if answer.status_code not in (200, 404):
            raise Unavailable("the warehouse failed when asked")
        return answer.status_code == 200


@contextlib.asynccontextmanager
async def at_work(
    folder: Path,
    url: str,
    address: str | None = None,
    timing: Timing = QUICK,
    *,
    runs: bool = True,
    limit_s: float = CLIENT_LIMIT_S,
) -> AsyncIterator[Operations]:
    """A server's operations on a store, as one process has them.

    Args:
        folder: The state folder.
        url: The warehouse's address.
        address: Of a PostgreSQL database. None: SQLite.
        timing: How long leases last.
        runs: Whether it carries operations out.
        limit_s: How long an answer of the warehouse is waited for, in seconds.
    """
    secret = SecretStr(address) if address else None
    host = Host(Settings(state_dir=folder, mode=Mode.WRITES, database_url=secret))
    work = Work(url, limit_s)
    operations = Operations(Store.of(host), host, timing)
    operations.kinds = work.kinds()
    try:
        async with operations.running() if runs else contextlib.nullcontext():
            yield operations
    finally:
        await work.aclose()
        await host.aclose()


async def submitted(operations: Operations, kind: str, target: str = "", **request: Any) -> Operation:
    """An operation of Anna's."""
    return await operations.submit(
        kind, target=target or f"target of {kind}", title=f"The {kind}", request=request, principal=ANNA
    )


async def _main(*words: str) -> None:
    folder, url, address, *kinds = words
    # It is to die where it was told to, on a busy machine too.
    timing = Timing(lease_s=float(os.environ.get(LEASE_VARIABLE, Timing.lease_s)))
    async with at_work(Path(folder), url, address or None, timing, limit_s=20) as operations:
        for kind in kinds:
            operation = await submitted(operations, kind)
            sys.stdout.write(f"submitted {operation.id}\n")
            sys.stdout.flush()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(_main, *sys.argv[1:])
