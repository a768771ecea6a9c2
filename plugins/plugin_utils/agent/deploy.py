"""The agent on one host, from arguments to result: facts -> plan -> apply -> report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..contract.model import HostContract
from ..secret import Secret
from ..windows.session import Session
from .apply import apply
from .backup import outcome
from .desired import Binary, Desired, Request, check_request, desired
from .facts import Facts, observe
from .plan import Change, plan
from .refusals import AgentError


def request_from(arguments: Mapping[str, Any]) -> Request:
    """The action's arguments (see `plugins/modules/agent.py`) as a request; passwords become secrets here.

    Raises UnusableError before any host is asked.
    """
    repository, restic = arguments["repository"], arguments["restic"]
    request = Request(
        contract=HostContract.from_plain(arguments["contract"]),
        url=repository["url"],
        username=repository["username"],
        http_password=Secret(repository["password"]),
        encryption_password=Secret(repository["encryption_password"]),
        ca=repository.get("ca") or "",
        binary=Binary(
            restic["path"],
            restic["version"],
            (restic.get("sha256") or "").lower(),
            restic.get("url") or "",
            restic.get("ca") or "",
        ),
        folder=arguments["folder"].rstrip("\\"),
        wait_seconds=arguments.get("wait", 0),
        first_backup=arguments.get("first_backup", "night"),
        attempts=arguments["attempts"],
        retry_minutes=arguments["retry_minutes"],
        time_limit_hours=arguments["time_limit_hours"],
        log_days=arguments["log_days"],
        log_kib=arguments["log_kib"],
    )
    check_request(request)
    return request


def deploy(
    session: Session, request: Request, check: bool, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Bring the agent of one host to its desired state; with `check`, only tell what that takes. `say` is
    told how far a delivery is."""
    facts = observe(session, request.folder)
    wanted = desired(request, facts.shadow_copies)
    changes = plan(wanted, facts)
    if changes and not check:
        apply(session, request, wanted, facts, changes, say)
        facts = observe(session, request.folder)
        # A staging folder that would not go harms nobody; a first backup has begun.
        remaining = [
            change.sentence
            for change in plan(wanted, facts)
            if change.kind not in ("first backup", "staging")
        ]
        if remaining:
            raise AgentError(
                session.host,
                f"the host is still not as it should be ({'; '.join(remaining)})",
                "See what changes them back (an antivirus, a group policy), then run the playbook again",
            )
    return report(session.host, wanted, facts, changes)


def settled(request: Request, facts: Facts) -> dict[str, Any] | None:
    """The result for a host that `facts` show to be as it should be; None when there is something to change:
    then it is looked at anew, since minutes may have gone by."""
    wanted = desired(request, facts.shadow_copies)
    return None if plan(wanted, facts) else report(request.host, wanted, facts, ())


def report(host: str, wanted: Desired, facts: Facts, changes: tuple[Change, ...]) -> dict[str, Any]:
    """The action's result: what changes, as sentences and as Ansible's diff, and the last backup's status."""
    return {
        "changed": bool(changes),
        "changes": [change.sentence for change in changes],
        "diff": [
            {
                "before_header": f"{host}: {change.kind} {change.name}",
                "after_header": f"{host}: {change.kind} {change.name}",
                "before": change.before,
                "after": change.after,
            }
            for change in changes
        ],
        "status": facts.status,
        "outcome": outcome(facts.status),
        "running": facts.running,
        "repository_id": facts.repository_id,
        "starts_at": wanted.starts_at,
    }
