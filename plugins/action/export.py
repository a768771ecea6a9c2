"""A version put on a disk by the repository host; documented in plugins/modules/export.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ..module_utils.maintenance.shape import as_json, read
from ..plugin_utils.ansible_adapter import CoreAction, Variables, documents_folder
from ..plugin_utils.contract.model import ClientContract, contracts_of
from ..plugin_utils.disks import custody as disk_custody
from ..plugin_utils.disks import taken
from ..plugin_utils.disks.custody import Step
from ..plugin_utils.disks.request import Export
from ..plugin_utils.repository.action import module_arguments
from ..plugin_utils.restore.plan import Choice
from ..plugin_utils.wording import show_moment, show_size


class ActionModule(CoreAction):
    """Takes restic.exe to the host, has the module of the same name write the disk, and prints the pages."""

    TRANSFERS_FILES = True

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        request = Export.from_data(arguments["request"]).disk
        path = disk_custody.place(documents_folder(arguments["documents"], variables), request)
        custody, code = disk_custody.known(path, request), taken.code_of(path)
        if before := custody.steps.get("export"):
            return {"changed": False, "outcome": disk_custody.done("export", before)}
        version = read(Choice, arguments["choice"]).version
        clients = contracts_of(ClientContract, arguments["clients"])
        given = module_arguments(clients, request.client, request.server, arguments, variables)
        if given is None:
            return {
                "failed": True,
                "msg": f'The repository of "{request.client}" is not on {arguments["host"]}.',
            }
        check = self._task.check_mode
        code = code or (None if check else taken.make_code(path))
        given |= {
            "request": request.id,
            "disk": as_json(request.disk),
            "lsblk": arguments["lsblk"],
            "version": version.id,
            "code": code.reveal() if code else "",
        }
        told = self._asked({**given, "beside": {}, "check_only": True}, variables)
        if told.get("failed"):
            return told
        size = show_size(sum(told["files"].values()))
        of = f"the version of {request.server} of {show_moment(version.time)}"
        if check:
            return {
                "changed": True,
                "outcome": f"{of} would be put on the disk {request.disk.serial}: {size}",
            }
        self.show(
            f"[{arguments['host']}] {of}: {len(told['files'])} files, {size}, are written and read back"
        )
        # Known from now on: a run that goes on after a cut chooses no version that came since.
        custody = replace(custody, begun=version.time, files=told["files"])
        disk_custody.keep(path, custody)
        given["beside"] = taken.beside(custody, version.id, version.time.isoformat())
        shell = self._connection._shell
        given["program"] = self._transfer_file(
            arguments["program"], shell.join_path(shell.tmpdir, taken.PROGRAM)
        )
        self._fixup_perms2((shell.tmpdir, given["program"]))
        told = self._asked(given, variables)
        if told.get("failed"):
            return told
        step = Step(
            datetime.now(UTC), arguments["technician"], len(told["files"]), sum(told["files"].values())
        )
        custody = replace(custody, files=told["files"]).with_step("export", step)
        disk_custody.keep(path, custody)
        outcome = f"{of} was put on the disk {request.disk.serial} and read back: {size}"
        result = {"changed": True, "outcome": outcome, "changes": [outcome]}
        result["journal"] = {**disk_custody.journal(custody, "export"), "version": version.id[:8]}
        if code:
            result["pages"] = taken.write_pages(path, custody, version.time.isoformat(), code)
        return result

    def _asked(self, given: dict[str, Any], variables: Variables) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="prosecours.backup.export", module_args=given, task_vars=variables
        )
        return result
