"""The recorder: a fixed list of harmless lines, sent to one Windows server through the product's own session,
and what came back as one zip without names. docs/windows-lab.md says what it settles."""

from __future__ import annotations

import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# The collection is imported by its own name, as in a playbook.
sys.path.insert(0, str(CHECKOUT / "build" / "collections"))
