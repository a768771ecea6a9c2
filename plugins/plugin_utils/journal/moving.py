"""A journal moves to another store: line by line as it is, so that no hash changes; whole, or not at all."""

from __future__ import annotations

from .entries import check, verify
from .stores import JournalError, Say, Store


def move(source: Store, target: Store, say: Say, only_look: bool = False) -> bool:
    """Copy what the target lacks, and verify it there before it counts; whether it lacked something.

    The source stays as it is. What was written to the target since is no hindrance; another journal there is.
    `only_look`: copy nothing. Raises JournalError.
    """
    if not source.text():
        raise JournalError(
            f"There is no journal {source} to move", "See journal below [prosecours] of ansible.cfg"
        )
    if target.text().startswith(source.text()):
        return False  # it was moved, and may be read-only now
    with source.writing(say):  # nobody adds to it meanwhile
        verdict = verify(source)
        if verdict.problems:
            raise JournalError(
                f"The journal {source} is not as it was written, and is not moved."
                f" {' '.join(verdict.problems)}",
                "Acknowledge what is known of it first (docs/journal.md)",
            )
        *lines, rest = source.text().split(b"\n")
        if rest:
            raise JournalError(
                f"The last line of the journal {source} was cut short, and it is not moved",
                "Run any other playbook of the collection once: its entry explains the line. Then move it",
            )
        with target.writing(say) as writing:
            there = [*writing.backwards()][::-1]
            missing = lines[len(there) :]
            if lines[: len(there)] != there[: len(lines)]:
                raise JournalError(
                    f"In {target} is another journal than {source}",
                    "Two cannot become one: keep the older one where it is, read-only, and note its head"
                    " (docs/journal.md)",
                )
            if only_look or not missing:
                return bool(missing)
            known = set(target.stamps())
            writing.add(missing, verdict.head, [one for one in source.stamps() if one not in known])
            copied = b"".join(line + b"\n" for line in [*writing.backwards()][::-1])
            if problems := check(copied, [verdict.head]).problems:
                raise JournalError(
                    f"{target} did not keep what was written there; nothing was moved. {' '.join(problems)}",
                    "See the log of its server",
                )
    return True
