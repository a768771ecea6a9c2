"""Run a module in a Python that has no more than Windows' own, as far as Linux can play it:
python -I -S as_on_windows.py PACKAGES CHECKOUT MODULE [ARGUMENT ...]

No package but those in the folder PACKAGES and in CHECKOUT, no Ansible, and nothing that only Unix has.
Standard library only.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

ABSENT = frozenset(
    {"ansible", "curses", "fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
)  # fmt: skip
"""What Windows' Python cannot import."""
UNIX_ALONE = {
    os: (
        "chown", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getpgid", "getuid",
        "killpg", "mkfifo", "nice", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "openpty", "pread",
        "register_at_fork", "sched_getaffinity", "setpgid", "setsid", "statvfs", "sync", "sysconf",
    ),
    signal: (
        "alarm", "pthread_sigmask", "setitimer", "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE",
        "SIGUSR1",
    ),
}  # fmt: skip


class Absent(MetaPathFinder):
    """No module of these is found, wherever it lies."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def main(packages: str, checkout: str, module: str, *arguments: str) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] in ABSENT]:
        del sys.modules[name]
    for owner, names in UNIX_ALONE.items():
        for name in names:
            delattr(owner, name)
    sys.meta_path.insert(0, Absent())
    sys.path += [packages, checkout]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


main(*sys.argv[1:])
