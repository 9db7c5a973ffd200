"""Run as a program: klepaas on a Python that lacks what Windows lacks. Each argument is a command line of klepaas."""

import asyncio  # noqa: F401 -- the library's own POSIX parts are imported before they are hidden
import importlib
import json
import os
import pkgutil
import shlex
import signal
import subprocess  # noqa: F401
import sys
import tarfile  # noqa: F401
import tempfile  # noqa: F401

MODULES = ("crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "spwd", "syslog", "termios", "tty")
OS_NAMES = (
    *("chown", "chroot", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getpgid"),
    *("getuid", "initgroups", "killpg", "lchown", "mkfifo", "mknod", "nice", "O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY"),
    *("O_NOFOLLOW", "O_NONBLOCK", "O_SYNC", "openpty", "setegid", "seteuid", "setgid", "setpgid", "setsid", "setuid"),
    *("statvfs", "sysconf", "uname", "wait", "WNOHANG", "confstr", "ctermid", "getloadavg", "sched_getaffinity"),
)
SIGNALS = ("SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGUSR1", "SIGWINCH")
PACKAGES = ("klepaas", "klepaas_plugins", "klepaas_providers", "klepaas_agents")


def import_libraries() -> None:
    """Other projects have ways of their own to know Windows; only ours are to be seen without POSIX."""
    from klepaas.__main__ import _ENVIRONMENT

    os.environ.update(_ENVIRONMENT)
    for name in ("fastmcp", "mcp.server.stdio", "platformdirs", "uvicorn"):
        importlib.import_module(name)


def hide() -> None:
    """Take away what Windows has not got."""
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in OS_NAMES:
        if hasattr(os, name) and name != "statvfs":  # shutil.disk_usage rests on it here
            delattr(os, name)
    os.getlogin = lambda: "kim"  # there it asks the system for the user, and not the terminal
    for name in SIGNALS:
        if hasattr(signal, name):
            delattr(signal, name)


def import_everything() -> int:
    """Import each module of klepaas; those that need what is not installed here aside."""
    count = 0
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if ".migrations." not in module.name and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
                count += 1
    return count


def main() -> None:
    import_libraries()
    hide()
    count = import_everything()
    from klepaas.cli import run
    from klepaas_plugins.kubernetes import demo

    # A deployment and a look at it: the rest of the story takes nothing more of the system.
    vars(demo)["STORY"] = demo.STORY[:2]
    codes = {line: run(shlex.split(line)) for line in sys.argv[1:]}
    sys.stderr.write("\n" + json.dumps({"modules": count, "codes": codes}) + "\n")


if __name__ == "__main__":
    main()
