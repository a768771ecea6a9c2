"""A text that must not be seen."""

from __future__ import annotations


class Secret:
    """A text that is shown as *** wherever it is printed; `reveal` is the one way to it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)
