"""Give a client of the lab a past: a version for each of the last evenings, as after weeks of work.

    python tools/past_weeks.py earl_des_tilleuls [DAYS]

Each is the newest real version of a server with the time of that evening (`restic rewrite --new-time`), and
the file of the snapshot has the time at which it would have arrived. So retention has something to decide.
Only a repository of these days gets a past, and only once: a second run adds nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

BUILD = Path(__file__).resolve().parent.parent / "build"
LAB = Path(os.environ.get("PROSECOURS_LAB") or BUILD / "lab")
PARIS = ZoneInfo("Europe/Paris")
EVENING = time(22, 7)
TAKES = timedelta(minutes=12)


def main(client: str, days: int = 20) -> int:
    """The exit code: 0, or 1 with a sentence."""
    repositories = sorted((LAB / "data" / client).glob("*/config"))
    if not repositories or not shutil.which("restic"):
        print(f"{client}: the lab has no backup of it yet. Run make demo first.", file=sys.stderr)
        return 1
    for config in repositories:
        give_a_past(config.parent, days)
    return 0


def give_a_past(repository: Path, days: int) -> None:
    """To one server, whose name its repository has."""
    server = repository.name
    environment = {
        **os.environ,
        "RESTIC_REPOSITORY": str(repository),
        "RESTIC_PASSWORD": (BUILD / "secrets" / f"{server}-encryption").read_text("utf-8").strip(),
    }

    def run(*arguments: str) -> None:
        subprocess.run(
            ["restic", "--no-cache", "--quiet", *arguments], env=environment, check=True, capture_output=True
        )

    def snapshots() -> list[dict[str, Any]]:
        listed = subprocess.run(
            ["restic", "--no-cache", "snapshots", "--json"], env=environment, check=True, capture_output=True
        )
        return sorted(json.loads(listed.stdout), key=lambda one: str(one["time"]))

    known = snapshots()
    now = datetime.now(PARIS)
    first = min((datetime.fromisoformat(one["time"]) for one in known), default=now)
    if not known or now - first > timedelta(days=2):
        print(f"{server}: {len(known)} versions, the first of {first:%d %B}; nothing to add")
        return
    evenings = [
        datetime.combine(first.astimezone(PARIS).date() - timedelta(days=number), EVENING, PARIS)
        for number in range(days, 0, -1)
    ]
    for evening in evenings:
        here = {path.name for path in (repository / "snapshots").iterdir()}
        moment = evening.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        run("rewrite", "--new-time", moment, known[-1]["id"])
        arrived = (evening + TAKES).timestamp()
        for path in (repository / "snapshots").iterdir():
            if path.name not in here:
                os.utime(path, (arrived, arrived))
    print(f"{server}: {len(evenings)} evenings, from {evenings[0]:%d %B} to {evenings[-1]:%d %B}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
