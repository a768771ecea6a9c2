"""What every action has to be told that compares a server with the agent it is to have."""

from __future__ import annotations


class ModuleDocFragment:
    """What `plugin_utils/agent/deploy.py`, `request_from`, reads."""

    DOCUMENTATION = r"""
options:
  contract:
    description: The contract of this server, as RV(prosecours.backup.contract#module:hosts) holds it.
    type: dict
    required: true
  repository:
    description: The server's own repository.
    type: dict
    required: true
    suboptions:
      url:
        description: As restic writes it, for example V(rest:https://backup.example:8000/srv1/).
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
        description: Password that encrypts the server's data. Nothing replaces it when it is lost.
        type: str
        required: true
      ca:
        description: Authority of the repository's certificate in PEM, if it is not a public one.
        type: str
        default: ""
  restic:
    description: restic.exe on the controller, as M(prosecours.backup.binary) returns it.
    type: dict
    required: true
    suboptions:
      path:
        description: Path on the controller.
        type: str
        required: true
      version:
        description: Version that it must say it has.
        type: str
        required: true
      sha256:
        description: SHA-256 that it must have; may be missing in check mode, when it is still to be fetched.
        type: str
      url:
        description: >-
          Where servers fetch the same file themselves, as V(https://backup.example/restic.exe), so that it
          need not go through the controller's line for each of them. Without it, or where that fails, the
          controller delivers.
        type: str
        default: ""
      ca:
        description: Authority of that address' certificate in PEM, if it is not a public one.
        type: str
        default: ""
  folder:
    description: The agent's folder on the server. Only administrators should be able to create it.
    type: str
    default: C:\Program Files\ProSecours
  attempts:
    description: How many times a backup that fails is tried in all.
    type: int
    default: 3
  retry_minutes:
    description: Minutes between two attempts.
    type: int
    default: 10
  time_limit_hours:
    description: Hours after which Windows ends a backup that hangs. A first backup may take 48.
    type: int
    default: 72
  log_days:
    description: Days that the log of a run is kept; at most twice as many logs are.
    type: int
    default: 30
  log_kib:
    description: Size above which a log is cut down to restic's summary.
    type: int
    default: 1024
"""
