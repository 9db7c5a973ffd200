"""Where the audit of a process goes: the file of the state folder, and the sinks of plugins."""

from klepaas.audit import AuditSink
from klepaas.audit_file import AuditFile
from klepaas.host import Host
from klepaas.plugins import Plugins

__all__ = ["collect_sinks"]


def collect_sinks(plugins: Plugins, host: Host) -> list[AuditSink]:
    """The sinks, the file first.

    Args:
        plugins: The plugins to ask.
        host: What they get.
    """
    settings = host.settings
    offered = plugins.contributions("klepaas_audit_sinks", AuditSink, host=host)
    return [AuditFile(settings.state_dir, settings.audit_file_max_bytes).sink(), *(found.item for found in offered)]
