"""Mail to a real SMTP server: what arrives, what never leaves without TLS, a sentence for each refusal."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import options
from ansible_collections.prosecours.backup.plugins.plugin_utils.documents import mail
from ansible_collections.prosecours.backup.plugins.plugin_utils.secret import Secret

from windows_lab.certificates import Authority

from .smtp_server import PASSWORD, USER, Inbox, running

SENDER = "surveillance@groupeisagri.example"
MESSAGE = mail.Message(
    ("noc@groupeisagri.example",), "Sauvegardes : 1 alerte à l'œil", "Tout va.\n\nÀ demain.\n"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["starttls", "tls"])
def security(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def smtp(authority: Authority, security: str) -> Iterator[tuple[mail.Server, Inbox]]:
    with running(authority, security=security) as (port, inbox):
        yield _server(authority, port, security), inbox


def _server(authority: Authority, port: int, security: str = "starttls") -> mail.Server:
    return mail.Server(
        host="localhost",
        sender=SENDER,
        port=port,
        security=security,
        username=USER,
        password=Secret(PASSWORD),
        ca_file=str(authority.certificate_path),
        timeout=20,
    )


def _refused(server: mail.Server, *messages: mail.Message) -> str:
    with pytest.raises(mail.MailError) as caught:
        mail.send(server, messages or [MESSAGE])
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def test_a_message_arrives_as_it_was_written(smtp: tuple[mail.Server, Inbox], tmp_path: Path) -> None:
    server, inbox = smtp
    report = tmp_path / "rapport d'été.pdf"
    report.write_bytes(b"%PDF-1.7 \xe9")
    message = replace(
        MESSAGE,
        to=("noc@groupeisagri.example", "iah@groupeisagri.example"),
        html="<p>Tout va. " + "x" * 5000 + "</p>",
        attachments=(mail.attach(report),),
    )
    assert mail.send(server, [message]) == [[]]
    (arrived,) = inbox.messages
    assert arrived["Subject"] == "Sauvegardes : 1 alerte à l'œil"
    assert arrived["From"] == SENDER
    assert arrived["To"] == "noc@groupeisagri.example, iah@groupeisagri.example"
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert arrived["Date"]
    assert arrived["Message-ID"].endswith("@groupeisagri.example>")
    text, html = arrived.get_body(("plain",)), arrived.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == MESSAGE.text
    assert "x" * 5000 in html.get_content()
    (attached,) = arrived.iter_attachments()
    assert attached.get_filename() == "rapport d'été.pdf"
    assert attached.get_content_type() == "application/pdf"
    assert attached.get_content() == b"%PDF-1.7 \xe9"
    assert inbox.envelopes[0].rcpt_tos == list(message.to)
    assert inbox.envelopes[0].mail_from == SENDER
    assert inbox.logins == [USER]


def test_many_messages_take_one_connection(smtp: tuple[mail.Server, Inbox]) -> None:
    server, inbox = smtp
    assert mail.send(server, [MESSAGE] * 3) == [[], [], []]
    assert len(inbox.logins) == 1
    assert len(inbox.messages) == 3


def test_a_refused_recipient_costs_that_one_alone(smtp: tuple[mail.Server, Inbox]) -> None:
    server, inbox = smtp
    both = replace(MESSAGE, to=("inconnu@client.example", "noc@groupeisagri.example"))
    alone = replace(MESSAGE, to=("inconnu@client.example",))
    outcome = mail.send(server, [both, alone, MESSAGE])
    sentence = f"{server} refuses inconnu@client.example (550 5.1.1 boite inconnue"
    assert [[text[: len(sentence)] for text in texts] for texts in outcome] == [[sentence], [sentence], []]
    assert outcome[0][0].endswith("): correct the address in the inventory.")
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["noc@groupeisagri.example"]] * 2


def test_a_refused_message_costs_that_one_alone(smtp: tuple[mail.Server, Inbox]) -> None:
    server, inbox = smtp
    outcome = mail.send(server, [replace(MESSAGE, subject="interdit"), MESSAGE])
    assert outcome == [[f'{server} refuses the message "interdit" (554 5.7.1 contenu interdit).'], []]
    assert len(inbox.messages) == 1


def test_a_lost_connection_is_made_again(smtp: tuple[mail.Server, Inbox]) -> None:
    server, inbox = smtp
    inbox.hang_up = True
    first, second = mail.send(server, [MESSAGE, MESSAGE])
    assert first[0].startswith(f"{server} ")
    assert first[0].endswith("run the playbook again.")
    assert second == []
    assert len(inbox.messages) == 1


def test_a_server_that_falls_silent_is_left(authority: Authority) -> None:
    with running(authority) as (port, inbox):
        inbox.silent = True
        server = replace(_server(authority, port), timeout=1)
        first, second, third = mail.send(server, [MESSAGE] * 3)
    assert first == second
    assert first[0].startswith(f'{server} was silent for 1 s during "Sauvegardes')
    assert third == [f"{server} was lost twice in a row: run the playbook again later."]


def test_nothing_is_said_to_nobody(authority: Authority) -> None:
    assert mail.send(replace(_server(authority, 1), host="nowhere.invalid"), []) == []


def test_a_wrong_password_is_told_without_it(smtp: tuple[mail.Server, Inbox]) -> None:
    server, inbox = smtp
    wrong = replace(server, password=Secret("pas le bon"))
    assert _refused(wrong, MESSAGE, MESSAGE) == (
        f"{server} refuses the login surveillance (535). See username and password of prosecours_mail."
    )
    assert "pas le bon" not in repr(wrong)
    # One login, not one for each message: more would lock the account.
    assert set(inbox.logins) == {USER}
    assert len(inbox.logins) <= 2  # smtplib offers PLAIN, then LOGIN
    assert inbox.messages == []


def test_an_authority_that_is_not_trusted(smtp: tuple[mail.Server, Inbox], tmp_path: Path) -> None:
    server, inbox = smtp
    other = Authority(tmp_path / "other")
    for untrusted in (replace(server, ca_file=""), replace(server, ca_file=str(other.certificate_path))):
        sentence = _refused(untrusted)
        assert sentence.startswith(f"{server} shows a certificate that is not trusted (")
        assert sentence.endswith(
            "Name its authority in ca_file of prosecours_mail, or the server as its certificate does."
        )
    assert inbox.logins == []


def test_a_certificate_of_another_name(authority: Authority, security: str) -> None:
    with running(authority, security=security, names=("smtp.example",)) as (port, inbox):
        sentence = _refused(_server(authority, port, security))
    assert "not trusted (" in sentence
    assert "localhost" in sentence
    assert inbox.logins == []


def test_nothing_is_sent_in_clear(authority: Authority) -> None:
    with running(authority, security="none", login=False) as (port, inbox):
        sentence = _refused(replace(_server(authority, port), username="", password=Secret("")))
    assert "offers no STARTTLS, and nothing is sent in clear" in sentence
    assert inbox.messages == []
    assert inbox.envelopes == []


def test_tls_where_starttls_is_spoken(authority: Authority) -> None:
    with running(authority, security="starttls") as (port, _):
        sentence = _refused(_server(authority, port, "tls"))
    assert "does not speak TLS as expected" in sentence
    assert "security to starttls" in sentence


def test_starttls_where_tls_is_spoken(authority: Authority) -> None:
    with running(authority, security="tls") as (port, _):
        server = replace(_server(authority, port), timeout=2)
        assert _refused(server).startswith(f"{server} ")


def test_a_server_without_login(authority: Authority) -> None:
    with running(authority, login=False) as (port, inbox):
        server = _server(authority, port)
        assert (
            _refused(server)
            == f"{server} offers no login. Leave out username and password of prosecours_mail."
        )
        assert mail.send(replace(server, username="", password=Secret("")), [MESSAGE]) == [[]]
    assert len(inbox.messages) == 1


def test_a_message_that_is_too_large(authority: Authority) -> None:
    with running(authority, data_size_limit=20_000) as (port, inbox):
        server = _server(authority, port)
        large = replace(MESSAGE, attachments=(mail.Attachment("rapport.pdf", bytes(300_000)),))
        outcome = mail.send(server, [large, MESSAGE])
    assert outcome == [[f"{server} takes no message of 0.4 MB: attach less, or have its limit raised."], []]
    assert len(inbox.messages) == 1


def test_no_server_there(authority: Authority) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert _refused(_server(authority, port)) == (
        f"localhost:{port} cannot be reached (Connection refused). See host and port of prosecours_mail."
    )


def test_a_name_that_is_unknown(authority: Authority) -> None:
    server = replace(_server(authority, 587), host="smtp.invalid")
    assert _refused(server) == "The name smtp.invalid is unknown. See host of prosecours_mail."


def test_a_server_that_says_nothing(authority: Authority, security: str) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        server = replace(_server(authority, mute.getsockname()[1], security), timeout=0.5)
        assert _refused(server).startswith(f"{server} does not answer within 0.5 s. ")


@pytest.mark.parametrize(
    "text",
    [
        "a@b.example\r\nBcc: all@evil.example",
        "a@b.example\nSubject: x",
        "a@b.example, c@d.example",
        "A <a@b.example>",
        "a@b",
        "",
        "é@b.example",
    ],
)
def test_an_address_that_is_none_leaves_nothing(text: str, authority: Authority) -> None:
    with running(authority) as (port, inbox):
        outcome = mail.send(_server(authority, port), [replace(MESSAGE, to=(text,)), MESSAGE])
        with pytest.raises(mail.MailError, match="is no e-mail address"):
            mail.address(text)
    assert "is no e-mail address" in outcome[0][0]
    assert outcome[1] == []
    assert len(inbox.messages) == 1


def test_a_subject_is_one_line(smtp: tuple[mail.Server, Inbox]) -> None:
    server, inbox = smtp
    assert mail.send(server, [replace(MESSAGE, subject="Vu\r\nBcc: all@evil.example")]) == [[]]
    assert inbox.messages[0]["Subject"] == "Vu Bcc: all@evil.example"
    assert inbox.messages[0]["Bcc"] is None
    assert inbox.envelopes[0].rcpt_tos == ["noc@groupeisagri.example"]


def test_a_domain_may_have_accents() -> None:
    assert mail.address("contact@élevage.example") == "contact@xn--levage-9ua.example"


MAIL = options.documented("findings")["mail"]["suboptions"]
OPTIONS = {name: option.get("default") for name, option in MAIL.items()}


def test_every_documented_kind_of_security_has_its_port() -> None:
    assert MAIL["security"]["choices"] == list(mail.PORTS)


def test_the_option_of_the_inventory(authority: Authority) -> None:
    given = {**OPTIONS, "host": "smtp.example", "sender": SENDER, "username": "u", "password": "p"}
    server = mail.server(given)
    assert (server.port, server.security, server.password.reveal()) == (587, "starttls", "p")
    assert mail.server({**given, "security": "tls"}).port == 465
    assert mail.server({**given, "security": "tls", "port": 8465}).port == 8465
    assert "p'" not in repr(server)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sender": "pas une adresse"}, '"pas une adresse" is no e-mail address'),
        ({"ca_file": "/nowhere/ca.pem"}, "There is no file /nowhere/ca.pem. Let ca_file"),
        ({"username": "u"}, "prosecours_mail has no password. Give both or neither."),
        ({"password": "p"}, "prosecours_mail has no username. Give both or neither."),
    ],
)
def test_a_mistake_in_the_inventory(change: dict[str, str], sentence: str) -> None:
    with pytest.raises(mail.MailError) as caught:
        mail.server({**OPTIONS, "host": "smtp.example", "sender": SENDER, **change})
    assert str(caught.value).startswith(sentence)


def test_a_file_that_is_no_certificate(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("rien")
    server = replace(_server(authority, 1), ca_file=str(tmp_path / "ca.pem"))
    assert (
        _refused(server)
        == f"{server.ca_file} is no PEM file of certificates. See ca_file of prosecours_mail."
    )


def test_an_attachment_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(mail.MailError, match=r"rapport\.pdf cannot be attached: No such file or directory\."):
        mail.attach(tmp_path / "rapport.pdf")
