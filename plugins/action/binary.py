"""prosecours.backup.binary: a pinned program on the controller, from the cache, the release or a build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..plugin_utils import binaries
from ..plugin_utils.ansible_adapter import CoreAction, Variables


class ActionModule(CoreAction):
    """Works on the controller only; see plugins/modules/binary.py for the arguments."""

    _requires_connection = False

    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        path, sha256 = arguments["path"], arguments["sha256"]
        wanted = binaries.artefact(arguments["program"], arguments["platform"], arguments["version"])
        cache = Path(arguments["cache"]) if arguments["cache"] else binaries.default_cache()
        if path:
            return {"changed": False, **_shown(binaries.given(Path(path), wanted, sha256))}
        if found := binaries.cached(wanted, cache):
            return {"changed": False, **_shown(found)}
        if self._task.check_mode:
            place = binaries.place(wanted, cache)
            return {
                "changed": True,
                "path": str(place),
                "version": wanted.version,
                "sha256": None,
                "origin": None,
            }
        return {"changed": True, **_shown(binaries.obtain(wanted, cache, self._say))}

    def _say(self, text: str) -> None:
        self.show(text)


def _shown(binary: binaries.Binary) -> dict[str, str]:
    return {**binary._asdict(), "path": str(binary.path)}
