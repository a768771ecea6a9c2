"""A server of another machine that monitoring tells something, with a certificate that is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.monitoring.https_server import Heard, listening

from windows_lab.certificates import Authority


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    authority = Authority(tmp_path / "authority")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate_path))
    with listening(authority) as one:
        yield one
