"""The Windows lab: WS-Man endpoints on loopback addresses, in front of Wine, for tests and demonstrations.

A tool of its own (``python -m windows_lab``); docs/windows-lab.md says exactly what it models and what not.
Three rooms: winrm/ is the endpoint, machine/ what it drives, programs/ the emulated inbox programs. Here are
the command line, the daemon and what they make of an inventory. The files here import the rooms, programs/
imports machine/, winrm/ of machine/ its protocol only; tests/lab/test_rooms.py holds them to it.
"""
