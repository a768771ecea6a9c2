"""The sign of life of monitoring: an address of a dead man's switch that is called at the end of each round.

Who looks at the clients is looked at by nobody here: a timer that was disabled or a controller that is off
raises no alarm. A service elsewhere (Healthchecks, Uptime Kuma) alarms when the sign stays away. What was
found on the clients is no part of it: a round that ends well says so, however bad its findings are.

The address is a secret: who has it can give the sign. Only the name of its host is ever shown.
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from ..deadline import within
from ..libraries import from_pypi
from ..secret import Secret

with from_pypi():
    import requests

SECONDS = 20.0
"""For the whole call, whatever the other side does."""
_READ = 200  # bytes of an answer that are looked at
_OF_KUMA = "/api/push/"
_SEE = "See prosecours_monitor_watchdog"


def sign(address: Secret, well: bool, seconds: float = SECONDS) -> list[str]:
    """Give the sign of a round that ended well, or that one of its outputs failed: a sentence when it could
    not be given. Raises nothing for what the world does."""
    try:
        parts = urlsplit(address.reveal().strip())
        _unused, host = parts.port, parts.hostname if parts.scheme == "https" else None
    except ValueError:  # a port that is none
        host = None
    if not host:
        return [
            "prosecours_monitor_watchdog is no https address: copy the whole one that the service shows, it"
            " begins with https://."
        ]
    target = (parts if well else unwell(parts)).geturl()
    try:
        problem = within(seconds, lambda: _call(target, seconds))
    except TimeoutError:  # an answer may come byte by byte
        problem = f"does not answer within {seconds:g} s"
    if problem:
        return [f"No sign of life was given, the watchdog {host} {problem}. {_SEE}."]
    return []


def unwell(address: SplitResult) -> SplitResult:
    """Where a round that failed is told: to Uptime Kuma in the query, to Healthchecks below the address."""
    if _OF_KUMA in address.path:
        query = dict(parse_qsl(address.query)) | {"status": "down", "msg": "prosecours monitor.yml"}
        return address._replace(query=urlencode(query))
    return address._replace(path=f"{address.path.rstrip('/')}/fail")


def _call(target: str, seconds: float) -> str:
    """What is wrong; empty when the sign was taken. No message of requests: it quotes the address."""
    try:
        with requests.get(target, timeout=seconds, allow_redirects=False, stream=True) as answer:
            body = next(answer.iter_content(_READ), b"")
    except requests.exceptions.SSLError:
        return "shows a certificate that is not trusted (an authority of your own: REQUESTS_CA_BUNDLE)"
    except requests.exceptions.Timeout:
        return f"does not answer within {seconds:g} s"
    except (requests.exceptions.RequestException, ValueError):
        return "cannot be reached"
    if answer.status_code != requests.codes.ok:
        return f"does not take it (HTTP {answer.status_code})"
    # Healthchecks of before 2024 answers 200 for an address that it does not know.
    return "does not know the address" if b"not found" in body.lower() else ""
