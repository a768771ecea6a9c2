"""The provider's mail server, for whatever sends something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import mail

from windows_lab.certificates import Authority

from .smtp_server import Inbox, of_the_provider


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def smtp(authority: Authority) -> Iterator[tuple[mail.Server, Inbox]]:
    with of_the_provider(authority) as served:
        yield served
