"""Why a host does not get its agent, in one sentence each: what Windows or restic said, and what to do."""

from __future__ import annotations

from ...module_utils.maintenance.refusals import meaning
from ..errors import ProSecoursError
from ..windows import probe
from ..windows.session import Output

UNENDED = -1
"""The exit code of a command that was ended because it took too long (TimedOut)."""


class AgentError(ProSecoursError):
    """What the host answered prevents the deployment. `problem` and `remedy`: a sentence each."""

    def __init__(self, host: str, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy, host)


def refusal(host: str, url: str, output: Output) -> AgentError:
    """Why restic could not open or initialise the repository, as a sentence with its remedy."""
    known = meaning(output.exit_code, probe.decode(output.stdout + output.stderr))
    if known:
        problem, remedy = known.problem.format(repository=f"the repository {url}"), known.remedy
    elif output.exit_code == UNENDED:
        said = _said(output) or "it said nothing"
        problem = f"restic did not open the repository {url} in its time ({said})"
        remedy = "See on the host whether a firewall or an antivirus holds restic.exe up, then run again"
    else:
        problem = f"the repository {url} cannot be opened ({why(output)})"
        remedy = "Run restic.cmd in the agent's folder on the host to see more"
    return AgentError(host, f"{problem}; nothing in place was replaced", remedy)


def why(output: Output) -> str:
    """Exit code and the last line that the command printed, in whatever language Windows speaks."""
    said = _said(output)
    return f"code {output.exit_code}: {said}" if said else f"code {output.exit_code}"


def _said(output: Output) -> str:
    lines = probe.decode(output.stderr or output.stdout).splitlines()
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")
