"""cscript.exe: winrm.vbs, the program behind `winrm`, with the quotas of remote shells.

Names of settings are English everywhere (elements of the schema of winrm/config); the defaults are those of
"Quota Management for Remote Shells" (Microsoft Learn), but for a MaxMemoryPerShellMB of `lab_shell_memory`.
"""

from __future__ import annotations

import re

from windows_lab.machine.call import Call

MEMORY = 1024
"""MaxMemoryPerShellMB of a Windows that nobody has changed."""


def main(call: Call) -> int:
    """cscript //nologo %SystemRoot%\\System32\\winrm.vbs get winrm/config/winrs"""
    flags, script, *words = [*call.arguments, "", ""][:2] + call.arguments[2:]
    if (
        flags.lower() != "//nologo"
        or not re.fullmatch(r"c:\\windows\\system32\\winrm\.vbs", script.lower())
        or [word.lower() for word in words] != ["get", "winrm/config/winrs"]
    ):
        call.not_modelled("only //nologo winrm.vbs get winrm/config/winrs")
    memory = call.host.settings.get("lab_shell_memory", MEMORY)
    values = {
        "AllowRemoteShellAccess": "true",
        "IdleTimeout": 7200000,
        "MaxConcurrentUsers": 10,
        "MaxShellRunTime": 2147483647,
        "MaxProcessesPerShell": 25,
        "MaxMemoryPerShellMB": memory,
        "MaxShellsPerUser": 30,
    }
    call.out("Winrs\n" + "".join(f"    {name} = {value}\n" for name, value in values.items()) + "\n")
    return 0


PROGRAMS = {"cscript": main}
