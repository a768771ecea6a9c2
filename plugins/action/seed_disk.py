"""The steps of a first backup on a disk that are done on the repository host.

Documented in plugins/modules/seed_disk.py.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..module_utils.maintenance.shape import as_json
from ..plugin_utils.ansible_adapter import CoreAction, Variables, documents_folder
from ..plugin_utils.contract.model import ClientContract, contracts_of
from ..plugin_utils.disks import custody as disk_custody
from ..plugin_utils.disks.custody import Step
from ..plugin_utils.disks.request import Request
from ..plugin_utils.repository.action import module_arguments
from ..plugin_utils.wording import show_size


class ActionModule(CoreAction):
    """Tells the module of the same name what was handed over, and writes down what it did."""

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        request, step = Request.from_data(arguments["request"]), arguments["step"]
        path = disk_custody.place(documents_folder(arguments["documents"], variables), request)
        custody = disk_custody.known(path, request)
        if before := custody.require(step):
            return {"changed": False, "outcome": disk_custody.done(step, before)}
        clients = contracts_of(ClientContract, arguments["clients"])
        given = module_arguments(clients, request.client, request.server, arguments, variables)
        if given is None:
            return {
                "failed": True,
                "msg": f'The repository of "{request.client}" is not on {arguments["host"]}.',
            }
        given |= {
            "step": step,
            "request": request.id,
            "disk": as_json(request.disk),
            "lsblk": arguments["lsblk"],
        }
        if step == "load":
            given["manifest"] = as_json(custody.manifest)
            size = show_size(sum(custody.files.values()))
            self.show(f"[{arguments['host']}] {len(custody.files)} files, {size}, are read, judged and added")
        told: dict[str, Any] = self._execute_module(
            module_name="prosecours.backup.seed_disk", module_args=given, task_vars=variables
        )
        if told.get("failed"):
            return told
        done = Step(datetime.now(UTC), arguments["technician"], told.get("files", 0), told.get("bytes", 0))
        outcome = f"the disk {request.disk.serial} was {disk_custody.STEPS[step]} for {request.server}"
        if step == "load":
            outcome += f": {done.files} files, {show_size(done.bytes)}"
            if told["foreign"]:
                outcome += f"; {told['foreign']} files on it that the manifest does not name were left there"
        if self._task.check_mode:
            return {"changed": True, "outcome": outcome.replace(" was ", " would be ", 1)}
        after = custody.with_step(step, done)
        disk_custody.keep(path, after)
        if step == "load":
            disk_custody.write_page(path, after)
        return {
            "changed": True,
            "outcome": outcome,
            "changes": [outcome],
            "journal": disk_custody.journal(after, step),
        }
