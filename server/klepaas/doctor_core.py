"""What the doctor finds about klepaas itself: version, mode, settings, state folder, audit, plugins.

Nothing here asks a network or another process; what klepaas depends on is the plugins' to look at. Every finding
that is not well names its repair.
"""

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from klepaas import __version__
from klepaas.audit_file import AuditFile
from klepaas.audit_reading import Weight, damages_of_files
from klepaas.configuration.check import Severity, check_settings
from klepaas.configuration.registry import nearest
from klepaas.hookspecs import Finding, Level
from klepaas.host import Host
from klepaas.plugins import Plugins, PluginState
from klepaas.portability import files
from klepaas.settings import Mode, Settings

__all__ = ["core_findings"]

# An audit file and what sets it aside must fit; a full disk stops every change.
_FREE_MIN_BYTES = 64 * 1024 * 1024


def core_findings(plugins: Plugins, host: Host) -> Iterable[tuple[str, Finding]]:
    """The findings, each with the name of its check.

    Args:
        plugins: The plugins.
        host: With the settings that klepaas runs with.
    """
    python = ".".join(str(part) for part in sys.version_info[:3])
    yield "version", Finding(Level.OK, f"klepaas {__version__} on Python {python}")
    mode = host.settings.mode
    meaning = "changing tools are open" if mode is Mode.WRITES else "changing tools are refused"
    yield "mode", Finding(Level.OK, f"{mode.value}: {meaning}")
    for name, findings in (
        ("settings", _settings(plugins)),
        ("state", _state(host.settings.state_dir)),
        ("audit", _audit(host.settings)),
        ("plugins", _plugins(plugins, host.settings)),
    ):
        for finding in findings:
            yield name, finding


def _settings(plugins: Plugins) -> Iterable[Finding]:
    report = check_settings(plugins, {}, only_likely=True)
    for problem in report.problems:
        level = Level.ERROR if problem.severity is Severity.ERROR else Level.WARNING
        yield Finding(level, problem.text, "Correct it; `klepaas config check` shows what is set, and from where")
    if not report.problems:
        path = report.document.path
        yield Finding(Level.OK, f"nothing is wrong with them; {f'the file is {path}' if path else 'there is no file'}")


def _state(folder: Path) -> Iterable[Finding]:
    nearest_there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    mode = files.permissions(nearest_there.stat())
    if nearest_there == folder and mode & 0o077:
        act = "change" if mode & 0o022 else "see"
        yield Finding(Level.WARNING, f"other users can {act} what is in {folder}", f"chmod 700 {folder}")
    free_bytes = shutil.disk_usage(nearest_there).free
    if free_bytes < _FREE_MIN_BYTES:
        text = f"only {free_bytes // 1024} KiB are free for {folder}; without room no change can be put on record"
        yield Finding(Level.WARNING, text, "Make room, or set KLEPAAS_STATE_DIR to another disk")
    elif nearest_there != folder or os.access(folder, os.W_OK):
        there = "is there" if nearest_there == folder else "is made with the first change"
        yield Finding(Level.OK, f"{folder} {there}")


def _audit(settings: Settings) -> Iterable[Finding]:
    objection = AuditFile(settings.state_dir, settings.audit_file_max_bytes).objection()
    if objection is not None and settings.mode is Mode.WRITES:
        repair = "Make it writable, or set KLEPAAS_STATE_DIR to a folder that is"
        yield Finding(Level.ERROR, f"No change can be put on record, so none is made: {objection}", repair)
    for damage in damages_of_files(settings.state_dir):
        level = Level.ERROR if damage.weight is Weight.ERROR else Level.WARNING
        yield Finding(level, damage.text, damage.repair or "`klepaas audit verify` looks into the files too")


def _plugins(plugins: Plugins, settings: Settings) -> Iterable[Finding]:
    for plugin in plugins.all:
        if plugin.state is PluginState.FAILED:
            repair = f"Repair or uninstall {plugin.distribution}, or add {plugin.name} to KLEPAAS_DISABLED_PLUGINS"
            yield Finding(Level.ERROR, f"{plugin.name} ({plugin.source}): {plugin.reason}", repair)
    names = [plugin.name for plugin in plugins.all]
    for name in settings.disabled_plugins:
        if name not in names:
            near = nearest(name, names)
            text = f"KLEPAAS_DISABLED_PLUGINS names {name}, which no installed plugin is called"
            yield Finding(Level.WARNING, text, f"Write {near}" if near else "See `klepaas plugins list` for the names")
    active = ", ".join(plugin.name for plugin in plugins.active)
    yield Finding(Level.OK if active else Level.WARNING, f"active: {active or 'none'}")
