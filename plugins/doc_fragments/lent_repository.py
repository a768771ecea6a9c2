"""What an action is told that may work on the repository of another server than its host's."""

from __future__ import annotations


class ModuleDocFragment:
    """What `plugin_utils/restore/access.py`, `Access.from_options`, reads."""

    DOCUMENTATION = r"""
options:
  repository:
    description: >-
      What opens the repository of the server whose data are wanted, if that is another one than the host. It
      stays there only while the work lasts.
    type: dict
    suboptions:
      url:
        description: As restic writes it.
        type: str
        required: true
      username:
        description: Login at the repository's server.
        type: str
        required: true
      password:
        description: Password of that login.
        type: str
        required: true
      encryption_password:
        description: Password that encrypts that server's data.
        type: str
        required: true
      ca:
        description: Authority of the repository's certificate in PEM, if it is not a public one.
        type: str
        default: ""
"""
