"""The steps of a first backup on a disk that are done on the client's server.

Documented in plugins/modules/seed.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..plugin_utils.agent import backup as agent_backup
from ..plugin_utils.agent import facts as agent_facts
from ..plugin_utils.ansible_adapter import Variables, documents_folder
from ..plugin_utils.contract.model import HostContract
from ..plugin_utils.disks import custody as disk_custody
from ..plugin_utils.disks import server as disk_server
from ..plugin_utils.disks.custody import Custody, Step
from ..plugin_utils.disks.request import Request
from ..plugin_utils.windows.session import Session
from ..plugin_utils.windows_action import WindowsAction
from ..plugin_utils.wording import show_size


class ActionModule(WindowsAction):
    """One step, written down when it is done; one that was done before is only told."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        request, step = Request.from_data(arguments["request"]), arguments["step"]
        path = disk_custody.place(documents_folder(arguments["documents"], variables), request)
        custody = disk_custody.known(path, request)
        before = custody.require(step)
        # Until it is handed over a disk may be filled again.
        if before and (step != "fill" or "hand_over" in custody.steps):
            result = {"changed": False, "outcome": disk_custody.done(step, before)}
            if step == "hand_over" and not self._task.check_mode:
                result["page"] = disk_custody.write_page(path, custody)
            return result
        session = self.session(variables)
        after, outcome = getattr(self, f"_{step}")(session, custody, arguments, path)
        if self._task.check_mode:
            return {"changed": True, "outcome": outcome}
        disk_custody.keep(path, after)
        result = {"changed": True, "outcome": outcome, "changes": [outcome]}
        result["journal"] = disk_custody.journal(after, step)
        if step == "hand_over":
            result["page"] = disk_custody.write_page(path, after)
        return result

    def _fill(
        self, session: Session, custody: Custody, arguments: dict[str, Any], path: Path
    ) -> tuple[Custody, str]:
        request = custody.request
        begun = custody.begun or datetime.now(UTC)
        after = replace(custody, begun=begun)
        status = disk_server.fill(
            session,
            request,
            HostContract.from_plain(arguments["contract"]),
            arguments["folder"].rstrip("\\"),
            arguments["timeout"],
            self._task.check_mode,
            lambda: disk_custody.keep(path, after),
            self.show,
        )
        if self._task.check_mode:
            return after, f"{request.server} would be backed up onto the disk {request.disk.serial}"
        words = f"the backup of {request.server} on the disk {request.disk.serial}"
        return after.with_step("fill", self._step(arguments)), f"{words}: {agent_backup.outcome(status)}"

    def _hand_over(
        self, session: Session, custody: Custody, arguments: dict[str, Any], path: Path
    ) -> tuple[Custody, str]:
        files = disk_server.contents(
            session, custody.request, arguments["folder"].rstrip("\\"), self._task.check_mode
        )
        size = sum(files.values())
        after = replace(custody, files=files).with_step("hand_over", self._step(arguments, len(files), size))
        words = f"the disk {custody.request.disk.serial} holds {len(files)} files, {show_size(size)}"
        return after, f"{words}; fingerprint of the manifest {after.fingerprint[:16]}"

    def _finish(
        self, session: Session, custody: Custody, arguments: dict[str, Any], path: Path
    ) -> tuple[Custody, str]:
        status = agent_facts.observe(session, arguments["folder"].rstrip("\\"), agent_backup.LOOK).status
        found = disk_server.judge(session.host, status, custody.steps["load"].at)
        words = (
            f"the backup after the loading added {show_size(found['added'])} of {show_size(found['total'])};"
            f" the disk {custody.request.disk.serial} may be erased"
        )
        return custody.with_step("finish", self._step(arguments, size=found["added"])), words

    def _step(self, arguments: dict[str, Any], files: int = 0, size: int = 0) -> Step:
        return Step(datetime.now(UTC), arguments["technician"], files, size)
