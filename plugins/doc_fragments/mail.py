"""How mail is sent, for the actions that send some."""

from __future__ import annotations


class ModuleDocFragment:
    """What `plugin_utils/documents/mail.py`, `server`, reads."""

    DOCUMENTATION = r"""
options:
  mail:
    description: How mail is sent; without it nothing is sent.
    type: dict
    suboptions:
      host:
        description: Name of the mail server, as in its certificate.
        type: str
        required: true
      port:
        description: Its port; without it 587 for V(starttls), 465 for V(tls).
        type: int
      security:
        description: TLS from the first byte, or after STARTTLS. Nothing is ever sent without.
        type: str
        choices: [starttls, tls]
        default: starttls
      username:
        description: Login at the server.
        type: str
      password:
        description: Password of that login; from a vault.
        type: str
      ca_file:
        description: PEM file of the authority of the server's certificate, if it is not a public one.
        type: str
      sender:
        description: E-mail address of the sender.
        type: str
        required: true
      timeout:
        description: Seconds to wait for each answer.
        type: int
        default: 30
"""
