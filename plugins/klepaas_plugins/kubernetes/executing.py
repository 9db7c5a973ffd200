"""What `k8s_exec` does: run one program in a container, bounded in time and in what it may print.

It exists only where the person who runs klepaas switched it on. No shell reads the arguments, unless the program that
is named is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from klepaas import names
from klepaas.errors import BadRequest
from klepaas.names import Check
from klepaas.output import Answer
from klepaas.output.budget import fit
from klepaas.output.safe import redactable
from klepaas_plugins.kubernetes.client import Cluster
from klepaas_plugins.kubernetes.masking import mask_text
from klepaas_plugins.kubernetes.pods import containers, preferred

__all__ = ["WORD", "Running", "answer_exec"]

OUTPUT_MAX_BYTES = 32_000
WORDS_MAX = 64
WORD = Check(
    "word of a command",
    lambda text: bool(text) and "\r" not in text and names.TEXT.accepts(text),
    "text without control characters",
    4000,
    quotable=False,
)


@dataclass(frozen=True)
class Running:
    """What is asked.

    Attributes:
        cluster: The cluster.
        namespace: The namespace.
        pod: The pod.
        container: The container. None: the pod's main one.
        command: The program and its arguments.
        timeout_s: Longest time, in seconds.
        dry_run: Whether nothing is run.
    """

    cluster: Cluster
    namespace: str
    pod: str
    container: str | None
    command: Sequence[str]
    timeout_s: int
    dry_run: bool


async def answer_exec(running: Running) -> Answer:
    """Run the program and answer what it printed and how it ended.

    Args:
        running: What is asked.

    Raises:
        BadRequest: The command is empty or too long, there is no such container, or it could not be started.
        NotFound: There is no such pod.
    """
    if not 0 < len(running.command) <= WORDS_MAX:
        raise BadRequest(f"A command has 1 to {WORDS_MAX} words", next_step='Send a list such as ["cat", "/etc/hosts"]')
    cluster = running.cluster
    found = await cluster.get(await cluster.resource("pods"), running.pod, running.namespace)
    known = [one.name for one in containers(found)]
    main = preferred(found)
    container = running.container or (main.name if main else None)
    if container not in known:
        raise BadRequest(f"Pod {running.pod} has no container {container}", next_step=f"It has: {', '.join(known)}")
    where = f"container {container} of pod {running.pod} in namespace {running.namespace}"
    if running.dry_run:
        return Answer(f"Dry run, nothing was run. It would run {list(running.command)} in {where}")
    ended = await cluster.run_in(
        running.pod,
        running.namespace,
        container,
        running.command,
        max_bytes=OUTPUT_MAX_BYTES,
        limit_s=float(running.timeout_s),
    )
    if ended.reason:
        raise BadRequest(f"The command was not run in {where}: {ended.reason}", next_step="Check that the image has it")
    how = f"exit code {ended.exit_code}" if ended.exit_code is not None else "it is not known how it ended"
    if ended.timed_out:
        how = f"still running after {running.timeout_s} s; it may go on in the container"
    elif ended.cut:
        how = f"stopped listening after {OUTPUT_MAX_BYTES} bytes; it may go on in the container"
    parts = [f"{where}: {how}"]
    parts += [_printed(ended.stdout, cut=ended.cut)] if ended.stdout else []
    parts += ["stderr:", _printed(ended.stderr, cut=ended.cut)] if ended.stderr else []
    return Answer(fit("\n".join(parts), OUTPUT_MAX_BYTES + 2000))


def _printed(data: bytes, *, cut: bool) -> str:
    """What a program printed, without secrets; where it was cut, without the last word, which may be half of one."""
    text = data.decode("utf-8", "replace")
    return mask_text((redactable(text, len(text) - 1) if cut else text).rstrip("\n"))
