"""The recorder: a fixed list of harmless lines, sent to one Windows server through the product's own session,
and what came back as one zip without names. docs/windows-lab.md says what it settles."""

from __future__ import annotations

import sys
from pathlib import Path

from ansible.plugins.loader import init_plugin_loader
from ansible.utils.collection_loader import AnsibleCollectionConfig

CHECKOUT = Path(__file__).resolve().parents[2]
# The collection is imported by its own name, as in a playbook, and by Ansible from the start, which takes no
# plugin (the inventory's) from one that Python has imported by itself.
sys.path.insert(0, str(CHECKOUT / "build" / "collections"))
if AnsibleCollectionConfig.collection_finder is None:
    init_plugin_loader(sys.path[:1])
