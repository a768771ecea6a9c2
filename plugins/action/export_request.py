"""A request for a version on a disk, checked; documented in plugins/modules/export_request.py."""

from __future__ import annotations

from ..plugin_utils.disks import request as disk_request
from ..plugin_utils.restore.action import RequestAction


class ActionModule(RequestAction):
    """See plugins/modules/export_request.py for the arguments."""

    load = staticmethod(disk_request.load_export)
    refused = "Nothing was done."
