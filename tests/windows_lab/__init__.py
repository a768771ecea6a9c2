"""The Windows lab: WS-Man endpoints on loopback addresses, in front of Wine, for tests and demonstrations.

A tool of its own (``python -m windows_lab``); docs/windows-lab.md says exactly what it models and what not.
"""


class LabError(Exception):
    """What keeps the lab from doing as told: one clear sentence, with its remedy."""
