"""Loopback addresses that no other test has: of another worker, another run, another checkout.

Servers of the lab listen at the ports of Windows, 5985 and 5986, so each needs an address. A process
takes 256 of them at once and holds them by a socket at one: whatever ends the process gives them back.
"""

from __future__ import annotations

import os
import socket
from itertools import count

HELD = 4  # the port of the socket that holds a network; nothing else is assigned to it
FIRST, NETWORKS = 64 * 256, 128 * 256  # 127.64.0 to 127.191.255: addresses below are written in inventories

_held: list[socket.socket] = []
_next = count()


def network() -> str:
    """The first three numbers of 256 addresses that are this process's until it ends, such as 127.80.7."""
    start = os.getpid() * 7919
    for number in range(NETWORKS):
        place = FIRST + (start + number) % NETWORKS
        prefix = f"127.{place // 256}.{place % 256}"
        holder = socket.socket()
        try:
            holder.bind((f"{prefix}.254", HELD))
            holder.listen()
        except OSError:
            holder.close()
            continue
        _held.append(holder)
        return prefix
    raise OSError("All loopback networks of the tests are taken.")


def address() -> str:
    """An address that nobody has been given before by this process."""
    global _own
    number = next(_next) % 250
    if number == 0:
        _own = network()
    return f"{_own}.{number + 1}"


_own = ""
