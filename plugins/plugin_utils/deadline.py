"""Work that ends in time, whatever the other side does: the time limits of sockets are those of each read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """What `work` returns. Raises what it raises, or TimeoutError where it has not ended by then.

    It then goes on in a thread that nobody waits for, not even the end of the program.
    """
    promised: Future[Result] = Future()

    def call() -> None:
        try:
            promised.set_result(work())
        except BaseException as error:
            promised.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return promised.result(seconds)
