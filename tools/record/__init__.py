"""The recorder: a fixed list of harmless lines, sent to one Windows server through the product's own session,
and what came back as one zip without names. docs/windows-lab.md says what it settles."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

CHECKOUT = Path(__file__).resolve().parents[2]

try:
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig
except ImportError:
    # Windows' own Python, for which there is no Ansible (--direct). The collection has its name all the same.
    for name, folders in {
        "ansible_collections": [],
        "ansible_collections.prosecours": [],
        "ansible_collections.prosecours.backup": [str(CHECKOUT)],
    }.items():
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = folders
else:
    # The collection is imported by its own name, as in a playbook, and by Ansible from the start, which takes
    # no plugin (the inventory's) from one that Python has imported by itself.
    sys.path.insert(0, str(CHECKOUT / "build" / "collections"))
    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader(sys.path[:1])
