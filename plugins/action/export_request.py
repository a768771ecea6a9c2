"""A request for a version on a disk, checked; documented in plugins/modules/export_request.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..plugin_utils.ansible_adapter import Variables, documents_folder
from ..plugin_utils.disks import custody as disk_custody
from ..plugin_utils.disks import request as disk_request
from ..plugin_utils.disks.request import Export
from ..plugin_utils.restore.action import RequestAction


class ActionModule(RequestAction):
    """See plugins/modules/export_request.py for the arguments."""

    load = staticmethod(disk_request.load_export)
    refused = "Nothing was done."

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        """A disk that was begun is gone on with: no version is chosen that came since."""
        result = super().act(arguments, variables)
        if "request" in result:
            asked = Export.from_data(result["request"])
            path = disk_custody.place(documents_folder(arguments["documents"], variables), asked.disk)
            if begun := disk_custody.known(path, asked.disk).begun:
                result["request"] = replace(
                    asked, wanted=replace(asked.wanted, wanted=begun.isoformat())
                ).data()
        return result
