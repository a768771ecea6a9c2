"""What the lab plays unless told otherwise: a Wine machine with every emulated program installed."""

from __future__ import annotations

from windows_lab.machine.wine import WineMachine
from windows_lab.programs.table import PROGRAMS


class WindowsServer(WineMachine):
    """One Windows Server of a client."""

    programs = PROGRAMS
