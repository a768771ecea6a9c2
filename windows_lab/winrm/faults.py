"""Faults that can be armed on a lab host: the next matching requests are answered as on a bad day."""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields, replace
from typing import Any

# kind: (what happens, the action that it waits for unless told otherwise)
KINDS: dict[str, tuple[str, str]] = {
    "cut": ("the TCP connection is reset before the request is carried out", "Send"),
    "cut-reply": ("the request is carried out, the TCP connection is reset instead of a reply", "Command"),
    "delay": ("the request waits --seconds first", "any"),
    "401": ("HTTP 401, as Windows also answers when it has no more processes to give", "Create"),
    "500": ("HTTP 500 without a body", "any"),
    "503": ("HTTP 503, the WinRM service is stopping", "any"),
    "quota": ("fault 0x803381A6, too many operations: a new shell is needed", "Command"),
    "shells": ("fault 0x803381A5, too many shells of this user", "Create"),
    "kill": ("every command of the host is killed first", "Receive"),
    "corrupt": ("one bit of the input is flipped on its way to the command", "Send"),
    "truncate": ("the input of this request is lost on its way to the command", "Send"),
}
ACTIONS = ("any", "Create", "Command", "Send", "Receive", "Signal", "Delete")


@dataclass(frozen=True)
class Fault:
    """One armed fault. It strikes the `nth` matching request and each one after it, `times` in all.

    A Send matches once `after_bytes` bytes of input have reached the host since the fault was armed, those of
    this request included: that is how a delivery is cut in its middle.
    """

    kind: str
    on: str = ""  # an action; the kind's own when empty
    nth: int = 1
    times: int = 1
    after_bytes: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")
        if not self.on:
            object.__setattr__(self, "on", KINDS[self.kind][1])
        if self.on not in ACTIONS:
            raise ValueError(f"unknown action {self.on!r}; known: {', '.join(ACTIONS)}")
        if self.nth < 1 or self.times < 1 or self.after_bytes < 0 or self.seconds < 0:
            raise ValueError(
                "a fault counts from 1: nth and times are at least 1, bytes and seconds at least 0"
            )

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> Fault:
        """From plain JSON types; unknown keys are a ValueError."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        return cls(**values)


class Faults:
    """The armed faults of one host, and the error of its clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []
        self.clock_offset = 0.0  # seconds, added to the Date header of every reply

    def arm(self, fault: Fault) -> None:
        """The fault waits for its requests from now on."""
        with self._lock:
            self._armed.append(fault)

    def armed(self) -> list[Fault]:
        """What still waits."""
        with self._lock:
            return list(self._armed)

    def clear(self) -> None:
        """No faults, right clock."""
        with self._lock:
            self._armed.clear()
            self.clock_offset = 0.0

    def strike(self, action: str, stdin_bytes: int) -> Fault | None:
        """The fault that this request meets, if any; `stdin_bytes` is what a Send carries. It counts."""
        struck: Fault | None = None
        with self._lock:
            left: list[Fault] = []
            for fault in self._armed:
                matches = fault.on in ("any", action)
                if matches:
                    fault = replace(fault, after_bytes=max(0, fault.after_bytes - stdin_bytes))
                if not matches or fault.after_bytes > 0 or struck is not None:
                    left.append(fault)
                elif fault.nth > 1:
                    left.append(replace(fault, nth=fault.nth - 1))
                else:
                    struck = fault
                    if fault.times > 1:
                        left.append(replace(fault, times=fault.times - 1))
            self._armed = left
        return struck
