"""WS-Management messages as Windows reads and writes them (MS-WSMV, DSP0226): bytes to `Request`, and back.

Pure: no sockets, no processes. What Windows refuses is raised as `WSManFault`, which renders itself.
Reasons are French, as the clients' hosts are, so that nobody matches words.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
WSMAN_MS = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
WMI_ERROR = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"
ANONYMOUS = ADDRESSING + "/role/anonymous"
CMD_SHELL = SHELL + "/cmd"

ACTIONS = {
    f"{TRANSFER}/Create": "Create",
    f"{TRANSFER}/Delete": "Delete",
    f"{SHELL}/Command": "Command",
    f"{SHELL}/Send": "Send",
    f"{SHELL}/Receive": "Receive",
    f"{SHELL}/Signal": "Signal",
}
URIS = {name: uri for uri, name in ACTIONS.items()}

# A header that says mustUnderstand and is none of these is refused, as DSP0226 R5.2.1 asks.
KNOWN_HEADERS = frozenset(
    {
        f"{{{ADDRESSING}}}{name}"
        for name in ("To", "ReplyTo", "FaultTo", "From", "MessageID", "Action", "RelatesTo")
    }
    | {
        f"{{{WSMAN}}}{name}"
        for name in (
            "ResourceURI",
            "SelectorSet",
            "OptionSet",
            "OperationTimeout",
            "MaxEnvelopeSize",
            "Locale",
        )
    }
    | {
        f"{{{WSMAN_MS}}}{name}"
        for name in ("DataLocale", "SessionId", "OperationID", "SequenceId", "ActivityId")
    }
)

OPERATION_TIMEOUT = 60.0  # seconds, when the request names none (MaxTimeoutms of a new Windows)
MINIMUM_ENVELOPE = 8192  # bytes, DSP0226 R13.1
_DURATION = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?\Z"
)


class Problem(NamedTuple):
    """One refusal of Windows: SOAP code and subcode, the number of wsmerror.h or winerror.h, a reason."""

    code: str
    subcode: str
    number: int
    reason: str


_SENDER, _RECEIVER = "s:Sender", "s:Receiver"
INVALID_XML = Problem(
    _SENDER, "w:SchemaValidationError", 2150858817, "Le code XML de la demande n’est pas valide."
)
HEADER_REQUIRED = Problem(
    _SENDER,
    "a:MessageInformationHeaderRequired",
    2150858769,
    "Un en-tête obligatoire manque dans la demande.",
)
NOT_UNDERSTOOD = Problem(
    "s:MustUnderstand",
    "",
    2150858768,
    "Un en-tête obligatoire de la demande n’est pas compris par le service.",
)
UNKNOWN_ACTION = Problem(
    _SENDER, "a:ActionNotSupported", 2150858753, "L’URI d’action de la demande n’est pas prise en charge."
)
UNKNOWN_RESOURCE = Problem(
    _SENDER,
    "a:DestinationUnreachable",
    2150858752,
    "Le service ne trouve pas l’URI de ressource de la demande.",
)
INVALID_TIMEOUT = Problem(
    _SENDER, "w:InvalidParameter", 2150858881, "L’en-tête OperationTimeout de la demande n’est pas valide."
)
ENVELOPE_TOO_SMALL = Problem(
    _SENDER, "w:EncodingLimit", 2150858878, "La valeur de MaxEnvelopeSize est inférieure au minimum de 8192."
)
INVALID_PARAMETER = Problem(_SENDER, "w:InvalidParameter", 87, "Paramètre incorrect.")
INVALID_OPTION = Problem(
    _SENDER, "w:InvalidOptions", 2150858835, "La valeur d’une option de la demande n’est pas valide."
)
SELECTOR_REQUIRED = Problem(
    _SENDER, "w:InvalidSelectors", 2150858842, "La demande exige le sélecteur suivant : ShellId."
)
SHELL_NOT_FOUND = Problem(
    _SENDER, "w:InvalidSelectors", 2150858843, "L’environnement distant indiqué par ShellId est introuvable."
)
STREAM_NOT_FOUND = Problem(
    _SENDER,
    "w:InvalidParameter",
    2150859147,
    "Le flux d’entrée de la demande n’existe pas dans l’environnement.",
)
TOO_MANY_SHELLS = Problem(
    _SENDER, "w:QuotaLimit", 2150859173, "Le nombre maximal d’environnements de cet utilisateur est dépassé."
)
TOO_MANY_OPERATIONS = Problem(
    _RECEIVER, "w:InternalError", 2150859174, "Le nombre maximal d’opérations de cet utilisateur est dépassé."
)
TIMED_OUT = Problem(
    _RECEIVER, "w:TimedOut", 2150858793, "L’opération n’a pas pu s’achever dans le délai de OperationTimeout."
)
ABORTED = Problem(_RECEIVER, "w:InternalError", 995, "L’opération d’E/S a été abandonnée.")
BUSY = Problem(_RECEIVER, "w:InternalError", 170, "La ressource demandée est en cours d’utilisation.")
PIPE_CLOSED = Problem(
    _RECEIVER, "w:InternalError", 232, "Le canal de communication est sur le point d’être fermé."
)
_NOT_STARTED = {2: "Le fichier spécifié est introuvable.", 267: "Nom de répertoire non valide."}


def cannot_start(number: int) -> Problem:
    """What CreateProcess refused with that number of winerror.h."""
    return Problem(_RECEIVER, "w:InternalError", number, _NOT_STARTED.get(number, f"Erreur {number}."))


class WSManFault(Exception):
    """A request answered with a SOAP fault (HTTP 500); `relates_to` is set once the MessageID is known."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason)
        self.problem = problem
        self.relates_to = ""

    def render(self, machine: str) -> bytes:
        """The whole envelope; `machine` is the name of the host."""
        problem = self.problem
        subcode = f"<s:Subcode><s:Value>{problem.subcode}</s:Value></s:Subcode>" if problem.subcode else ""
        return _envelope(
            "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault",
            self.relates_to,
            f"<s:Fault><s:Code><s:Value>{problem.code}</s:Value>{subcode}</s:Code>"
            f'<s:Reason><s:Text xml:lang="fr-FR">{escape(problem.reason)}</s:Text></s:Reason>'
            f"<s:Detail>{self._detail(machine)}</s:Detail></s:Fault>",
        )

    def _detail(self, machine: str) -> str:
        # Since 2012 this quota comes as a WMI error, not as a WSManFault; clients look there for it.
        if self.problem is TOO_MANY_OPERATIONS:
            return (
                f'<p:MSFT_WmiError xmlns:p="{WMI_ERROR}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
                ' xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common">'
                f'<p:Message xsi:type="cim:cimString">{escape(self.problem.reason)}</p:Message>'
                f'<p:MessageID xsi:type="cim:cimString">HRESULT 0x{self.problem.number:x}</p:MessageID>'
                f'<p:error_Code xsi:type="cim:cimUnsignedInt">{self.problem.number}</p:error_Code>'
                '<p:error_Type xsi:type="cim:cimString">HRESULT</p:error_Type></p:MSFT_WmiError>'
            )
        return (
            f'<f:WSManFault xmlns:f="{FAULT}" Code="{self.problem.number}" Machine={quoteattr(machine)}>'
            f"<f:Message>{escape(self.problem.reason)}</f:Message></f:WSManFault>"
        )


@dataclass(frozen=True)
class Request:
    """One understood request. `body` is the first element of the SOAP body (None for Delete)."""

    action: str  # a name of ACTIONS
    message_id: str
    shell_id: str | None  # upper case
    options: Mapping[str, str]
    timeout: float  # seconds, OperationTimeout
    max_envelope: int  # bytes that the client accepts in a reply
    body: ElementTree.Element | None


def parse(data: bytes) -> Request:
    """One envelope. Raises WSManFault for everything that Windows refuses before it looks at shells."""
    if b"<!DOCTYPE" in data:  # Windows forbids DTDs; it also keeps entity bombs out
        raise WSManFault(INVALID_XML)
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 (no DTD, hence no entities)
    except ElementTree.ParseError:
        raise WSManFault(INVALID_XML) from None
    header = root.find(f"{{{ENVELOPE}}}Header")
    if root.tag != f"{{{ENVELOPE}}}Envelope" or header is None:
        raise WSManFault(INVALID_XML)
    message_id = _text(header, ADDRESSING, "MessageID")
    try:
        return _understand(root, header, message_id)
    except WSManFault as fault:
        fault.relates_to = message_id
        raise


def _understand(root: ElementTree.Element, header: ElementTree.Element, message_id: str) -> Request:
    for element in header:
        if element.tag not in KNOWN_HEADERS and element.get(f"{{{ENVELOPE}}}mustUnderstand") in ("true", "1"):
            raise WSManFault(NOT_UNDERSTOOD)
    action_uri = _text(header, ADDRESSING, "Action")
    reply_to = header.findtext(f"{{{ADDRESSING}}}ReplyTo/{{{ADDRESSING}}}Address", "").strip()
    if not message_id or not action_uri or not _text(header, ADDRESSING, "To") or reply_to != ANONYMOUS:
        raise WSManFault(HEADER_REQUIRED)
    if action_uri not in ACTIONS:
        raise WSManFault(UNKNOWN_ACTION)
    if _text(header, WSMAN, "ResourceURI") != CMD_SHELL:
        raise WSManFault(UNKNOWN_RESOURCE)
    action = ACTIONS[action_uri]
    selectors = {
        selector.get("Name", ""): (selector.text or "").strip()
        for selector in header.iterfind(f"{{{WSMAN}}}SelectorSet/{{{WSMAN}}}Selector")
    }
    shell_id = selectors.get("ShellId")
    if action != "Create" and not shell_id:
        raise WSManFault(SELECTOR_REQUIRED)
    size = _text(header, WSMAN, "MaxEnvelopeSize") or "153600"
    if not size.isdecimal() or int(size) < MINIMUM_ENVELOPE:
        raise WSManFault(ENVELOPE_TOO_SMALL)
    body = root.find(f"{{{ENVELOPE}}}Body")
    if body is None:
        raise WSManFault(INVALID_XML)
    return Request(
        action=action,
        message_id=message_id,
        shell_id=shell_id.upper() if shell_id else None,
        options={
            option.get("Name", ""): (option.text or "").strip()
            for option in header.iterfind(f"{{{WSMAN}}}OptionSet/{{{WSMAN}}}Option")
        },
        timeout=duration(_text(header, WSMAN, "OperationTimeout"), OPERATION_TIMEOUT),
        max_envelope=int(size),
        body=next(iter(body), None),
    )


def duration(text: str, default: float) -> float:
    """Seconds of an xs:duration such as PT20S; `default` for no text; raises WSManFault for nonsense."""
    if not text:
        return default
    match = _DURATION.match(text)
    if match is None or not any(match.groups()):
        raise WSManFault(INVALID_TIMEOUT)
    parts = {unit: float(number or 0) for unit, number in match.groupdict().items()}
    return ((parts["days"] * 24 + parts["hours"]) * 60 + parts["minutes"]) * 60 + parts["seconds"]


def child_text(element: ElementTree.Element, name: str) -> str:
    """The text of a child in the namespace of shells, "" when it is absent."""
    return (element.findtext(f"{{{SHELL}}}{name}") or "").strip()


def is_shell_element(element: ElementTree.Element | None, name: str) -> bool:
    """Whether this is the element that the schema of shells asks for here."""
    return element is not None and element.tag == f"{{{SHELL}}}{name}"


def reply(request: Request, body: str) -> bytes:
    """The whole envelope that answers `request`; `body` is XML that uses the prefixes of `_envelope`."""
    return _envelope(f"{URIS[request.action]}Response", request.message_id, body)


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    relation = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
    return (
        f'<s:Envelope xml:lang="fr-FR" xmlns:s="{ENVELOPE}" xmlns:a="{ADDRESSING}" xmlns:x="{TRANSFER}"'
        f' xmlns:w="{WSMAN}" xmlns:rsp="{SHELL}" xmlns:p="{WSMAN_MS}"><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID><a:To>{ANONYMOUS}</a:To>{relation}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _text(header: ElementTree.Element, namespace: str, name: str) -> str:
    return (header.findtext(f"{{{namespace}}}{name}") or "").strip()
