"""A repository with sixteen evenings of backups, 19 January to 3 February 2026, as rest-server would hold it.

Usage: history.py RESTIC REPOSITORY PASSWORD honest|forged. With `forged`, somebody has then added a snapshot
for each of four days to come and of four that are past: their arrival is the last evening.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.sealed import empty_repository

FIRST = datetime(2026, 1, 19, 21, 0, tzinfo=UTC)  # 22:00 in Paris


def main() -> None:
    restic, repository, password, kind = sys.argv[1:]
    environment = {**os.environ, "RESTIC_PASSWORD": password}

    def run(*arguments: str, folder: Path) -> str:
        command = [restic, "--repo", repository, "--no-cache", *arguments]
        done = subprocess.run(
            command, env=environment, cwd=folder, check=True, capture_output=True, text=True
        )
        return done.stdout

    def backup(claimed: datetime, arrival: datetime, folder: Path) -> None:
        time = claimed.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        said = run("backup", "--json", "--host", "srv", "--time", time, "files", folder=folder)
        name = json.loads(said.splitlines()[-1])["snapshot_id"]
        os.utime(Path(repository, "snapshots", name), (arrival.timestamp(),) * 2)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        empty_repository(Path(repository), password)
        for number in range(16):
            evening = FIRST + timedelta(days=number)
            (folder / "files" / "today").write_text(f"{evening:%Y-%m-%d}")
            (folder / "files" / f"{number}").write_text(f"accounts of day {number}")
            backup(evening, evening + timedelta(minutes=5), folder)
        last = FIRST + timedelta(days=15, hours=1)
        for number in range(1, 5) if kind == "forged" else ():
            (folder / "files" / "today").write_text("forged")
            backup(last + timedelta(days=number), last, folder)
            backup(last - timedelta(days=number + 1), last, folder)


if __name__ == "__main__":
    main()
