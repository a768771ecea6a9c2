"""Every emulated program by its name."""

from __future__ import annotations

from collections.abc import Mapping

from windows_lab.machine.call import Program
from windows_lab.programs import (
    certutil,
    console,
    cscript,
    curl,
    findstr,
    forfiles,
    fsutil,
    icacls,
    powershell,
    robocopy,
    schtasks,
    tar,
    vssadmin,
    whoami,
)

PROGRAMS: Mapping[str, Program] = {
    **certutil.PROGRAMS,
    **console.PROGRAMS,
    **cscript.PROGRAMS,
    **curl.PROGRAMS,
    **findstr.PROGRAMS,
    **forfiles.PROGRAMS,
    **fsutil.PROGRAMS,
    **icacls.PROGRAMS,
    **powershell.PROGRAMS,
    **robocopy.PROGRAMS,
    **schtasks.PROGRAMS,
    **tar.PROGRAMS,
    **vssadmin.PROGRAMS,
    **whoami.PROGRAMS,
}
"""Name in lower case, without .exe -> function."""
