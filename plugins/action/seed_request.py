"""A request for a first backup on a disk, checked; documented in plugins/modules/seed_request.py."""

from __future__ import annotations

from ..plugin_utils.disks import request as disk_request
from ..plugin_utils.restore.action import RequestAction


class ActionModule(RequestAction):
    """See plugins/modules/seed_request.py for the arguments."""

    load = staticmethod(disk_request.load)
    refused = "Nothing was done."
