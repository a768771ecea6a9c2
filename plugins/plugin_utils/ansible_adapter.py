"""The one file of the core that imports ansible: what every action plugin of the collection stands on.

An action plugin turns plain arguments into a plain result in `act`; its DOCUMENTATION says which arguments.
The rest is done here, once: argument checks, plain values for ansible-core's tagged and lazy ones, and the
boundary at which an error becomes a sentence.
"""

from __future__ import annotations

import gc
import json
import shlex
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ansible import constants, context
from ansible.config.manager import ensure_type
from ansible.errors import AnsibleError, AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecretsContext, match_encrypt_secret
from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import callback_loader, connection_loader, inventory_loader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ..module_utils.maintenance.printable import printable_lines
from . import options
from .contract.contracts import Resolved
from .contract.files import CLIENTS
from .errors import ProSecoursError
from .journal import runs as journal_runs
from .journal.database import place
from .journal.stores import FileStore, Store
from .libraries import missing
from .validation.mistakes import Origin, PlacedMistake, Way, listing

try:
    from ansible._internal._datatag._tags import Origin as Tag
except ImportError:  # private: where a core has it elsewhere, places are found in the files alone
    Tag = None

Variables = Mapping[str, Any]
"""A task's variables as Ansible hands them over: lazy, tagged, of any type."""


def plain(value: Any) -> Any:
    """A copy made of dict, list, str, int, float, bool and None only; dates and the like become text.

    ansible-core 2.19 hands over subclasses of them that carry their origin, and containers that template an
    item when it is read: `type(x) is str` fails, `yaml.safe_dump` raises, json's encoder sees no laziness.
    """
    return json.loads(json.dumps(_read(value), default=str))


def _read(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _read(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_read(item) for item in value]
    return value


def resolve(hostvars: Variables, host: str, *wanted: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A host's variables that begin with one of `wanted`: name -> plain value; name -> why it has none.

    One template that fails costs one variable, not all.
    """
    variables, values, failures = hostvars[host], {}, {}
    for name in variables:
        if name.startswith(wanted):
            try:
                values[str(name)] = plain(variables[name])
            except AnsibleError as error:
                failures[str(name)] = " ".join(str(error).split())
    return values, failures


def origins(hostvars: Variables, host: str) -> Callable[[Way], Origin | None]:
    """Says where the part of a host's variable was written to which a way leads, as Ansible's tags have it.

    What a template took from elsewhere has its place there; what it made, or failed to make, has the place of
    the template. Asked only where something is wrong: all values of a fleet would take seconds.
    """

    def origin(way: Way) -> Origin | None:
        return tagged(hostvars[host], way) or tagged(hostvars.raw_get(host), way)  # type: ignore[attr-defined]

    return origin


def tagged(value: Any, way: Way) -> Origin | None:
    """The place of the last part on the way that has one. None if none has: YAML's yes, no and null.

    A value that no file holds (`-e`) has a place without a file. A line is where the value begins.
    """
    found = None
    if Tag is None:
        return None
    for depth, step in enumerate(way):
        try:
            # Of a variable's own name Ansible keeps where it stood first, not where it got its value.
            key = next((key for key in value if key == step), None) if depth else None
            value = value[step]
        except (AnsibleError, LookupError, TypeError):
            break
        found = Tag.get_tag(value) or Tag.get_tag(key) or found
    return found and Origin(Path(found.path) if found.path else None, found.line_num)


def read_text(loader: DataLoader, path: Path) -> str:
    """The text of a file (UTF-8), decrypted if a vault holds it; raises OSError."""
    try:
        return str(plain(loader.get_text_file_contents(str(path))))
    except AnsibleError as error:
        raise OSError(" ".join(str(error).split())) from error


ACTIONS = "prosecours.backup."
"""What the names of the collection's own actions begin with."""
SENTENCES = ("ansible.builtin.assert", "ansible.builtin.fail")
"""Tasks whose sentence was written, for people, by whoever wrote the task."""


def action_of(task: Task) -> str:
    """The whole name of a task's action."""
    return str(task.resolved_action or task.action)


class Drafted(DataLoader):  # type: ignore[misc]  # ansible-core publishes no types
    """Reads one file as it is going to be; all others as they are."""

    def __init__(self, path: Path | None, text: str) -> None:
        super().__init__()
        self._drafted, self._text = path, text
        context = VaultSecretsContext.current(optional=True)
        self.set_vault_secrets(context.secrets if context else [])

    def _get_file_contents(self, file_name: str) -> tuple[bytes, bool]:
        if self._drafted and Path(self.path_dwim(file_name)) == self._drafted:
            return self._text.encode(), True
        contents: tuple[bytes, bool] = super()._get_file_contents(file_name)
        return contents


def inventory_with(
    sources: Sequence[Path], path: Path | None, text: str
) -> tuple[Mapping[str, list[str]], Variables, Drafted]:
    """The inventory as it would be with a file of such a text, read from the disk anew: its groups, the
    variables of its hosts, and what reads its files. Nothing is written."""
    loader = Drafted(path, text)
    manager = InventoryManager(loader, [str(source) for source in sources])
    if path and not path.exists():  # Ansible's own look at a folder would not find it
        manager._inventory.current_source = str(path)
        inventory_loader.get("ansible.builtin.yaml").parse(manager._inventory, loader, str(path))
        manager.reconcile_inventory()
    variables = HostVars(manager, VariableManager(loader, manager), loader)
    return manager.get_groups_dict(), variables, loader


def servers_of(
    groups: Mapping[str, Sequence[str]], hostvars: Variables, placed: bool = True
) -> dict[str, Resolved]:
    """What the check of the contract asks of each server of the clients. `placed`: Ansible knows where values
    were written; of an inventory that it did not read from files it does not."""
    wanted = ("prosecours_", "ansible_host", "ansible_port")
    return {
        host: Resolved(*resolve(hostvars, host, *wanted), *([origins(hostvars, host)] if placed else []))
        for host in groups.get(CLIENTS, [])
    }


class NoVault(ProSecoursError):
    """There is no password to encrypt with."""


def sealed(text: str) -> str:
    """A text as `ansible-vault encrypt_string` has it, by the password of this run. Raises NoVault."""
    context = VaultSecretsContext.current(optional=True)
    secrets = context.secrets if context else []
    try:
        name, secret = match_encrypt_secret(secrets, constants.DEFAULT_VAULT_ENCRYPT_IDENTITY) or (None, None)
    except AnsibleError as error:
        raise NoVault(" ".join(str(error).split()), "Correct encrypt_vault_id in ansible.cfg") from error
    if secret is None:
        raise NoVault(
            "There is no password of a vault to encrypt the server's passwords with",
            "Start again with --ask-vault-pass, or with --vault-password-file",
        )
    named = None if name == "default" else name
    return str(VaultLib(secrets).encrypt(text, secret, named).decode())


def next_run(playbook_dir: Path, sources: Sequence[Path]) -> Callable[[str], str]:
    """How the run of another playbook begins: with this run's inventory, its way to the vault's password, and
    its way to name a playbook, which without a checkout is the collection's."""
    given = context.CLIARGS
    words = ["ansible-playbook"]
    for source in sources:
        words += ["-i", str(source)]
    words += ["--ask-vault-pass"] if given.get("ask_vault_pass") else []
    for option, name in (("--vault-id", "vault_ids"), ("--vault-password-file", "vault_password_files")):
        for value in given.get(name) or ():
            words += [option, str(value)]

    cwd = Path.cwd()

    def line(playbook: str) -> str:
        if "ansible_collections" in playbook_dir.parts:
            named = f"prosecours.backup.{playbook}"
        else:
            folder = playbook_dir.relative_to(cwd) if playbook_dir.is_relative_to(cwd) else playbook_dir
            named = str(folder / f"{playbook}.yml")
        return shlex.join([*words, named])

    return line


class NobodyThere(ProSecoursError):
    """A question was asked, and nobody is there to answer."""


class Interrupted(ProSecoursError):
    """Ctrl-C, in the middle of the questions."""


class NoInventory(ProSecoursError):
    """What is named as the inventory's files is not there."""


def inventory_files(given: Sequence[str] | None, variables: Variables) -> list[Path]:
    """The inventory's files and folders: as the option says, or where Ansible has it from.

    Raises NoInventory.
    """
    for name in given or ():
        if not Path(name).exists():
            raise NoInventory(
                f"prosecours_inventory names {name}, which is not there (looked for in {Path.cwd()})",
                "Name the folder of the inventory in the project, such as inventories/production",
            )
    return [Path(str(source)).absolute() for source in given or variables["ansible_inventory_sources"]]


def documents_folder(given: str | None, variables: Variables) -> Path:
    """Where the contract's paper is kept: as the option says, or `documents` beside the inventory."""
    if given:
        return Path(given).expanduser()
    return inventory_files(None, variables)[0].parent / "documents"


def run_folder() -> Path:
    """A private folder on the controller that all tasks of this run share, and that goes with the run."""
    return Path(constants.DEFAULT_LOCAL_TMP)


def journal_store() -> Store:
    """The journal that the callback writes: PROSECOURS_JOURNAL, ansible.cfg or its default.

    Raises JournalError for an address that is none.
    """
    value, origin = _journal_value("journal")
    return store_at(str(value), origin)


def store_at(text: str, origin: str | None = None) -> Store:
    """The journal of an address, or of a path: from where Ansible found it, as it does with its own paths."""
    found = place(text)
    if isinstance(found, FileStore):
        return FileStore(Path(ensure_type(text, "path", origin=origin)))
    return found


def journal_setting(name: str) -> str:
    """An option of the callback, from the environment, ansible.cfg or its default; empty for none."""
    return str(_journal_value(name)[0] or "")


def _journal_value(name: str) -> tuple[Any, str | None]:
    """An option of the callback, and where it was found."""
    callback = callback_loader.get("prosecours.backup.journal", class_only=True)
    found: tuple[Any, str | None] = constants.config.get_config_value_and_origin(
        name, plugin_type="callback", plugin_name=callback._load_name
    )
    return found


class CoreAction(ActionBase):  # type: ignore[misc]  # ansible-core publishes no types
    """Base of the collection's actions: checks arguments, calls `act`, turns expected errors into results."""

    specification: ClassVar[options.Options]
    """Ansible's argument specification, made of the action's page."""
    JOURNALLED: ClassVar[bool] = True
    """Whether it is part of an intervention, and refuses to work unless the run is journalled (C10)."""
    CONNECTION: ClassVar[str] = ""
    """The connection plugin of the hosts that it works on, if it is always the same."""

    def __init_subclass__(cls) -> None:
        """What each fork would do again is done as the plugin is loaded: in Ansible's main process, before it
        forks for hosts.

        The page is read, and the connection plugin with its options. What is in memory by then, no fork's
        garbage collector touches, so that the inventory of a fleet is not copied page by page for each host.
        """
        package, _dot, action = cls.__module__.rpartition(".")
        if package.endswith(".action"):
            cls.specification = options.specification(options.documented(action))
            if cls.CONNECTION:
                connection_loader.get(cls.CONNECTION, class_only=True)
            gc.freeze()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ansible's entry point. Wrong arguments raise Ansible's own error, before `act` begins."""
        if wanting := missing():
            raise AnsibleError(f"{wanting} Nothing was done.")
        if self.JOURNALLED and not journal_runs.under_way:
            raise AnsibleError(
                "Every intervention is journalled (C10), and this run is not: the callback is not enabled."
                " Run a playbook (not the ad hoc command) with an ansible.cfg that has, below [defaults],"
                " callbacks_enabled = prosecours.backup.journal. Nothing was done."
            )
        result: dict[str, Any] = super().run(tmp, task_vars)
        _unused, arguments = self.validate_argument_spec(self.specification)
        try:
            result.update(self.act(plain(arguments), task_vars or {}))
        except ProSecoursError as error:
            result.update(failure(error))
        if isinstance(result.get("msg"), str):  # of a module on another machine, too
            result["msg"] = printable_lines(result["msg"])
        if result.get("failed") and "exception" not in result:
            # Tells a sentence of this collection from the message of an exception (the journal asks).
            result.setdefault("error", "Refused")
        return result

    def show(self, text: str, color: str | None = None, stderr: bool = False) -> None:
        """Text for the technician's terminal, which nothing in it can steer."""
        self._display.display(printable_lines(text), color=color, stderr=stderr)

    @property
    def verbose(self) -> bool:
        """Whether the technician asked for more than a line: `-v`."""
        return bool(self._display.verbosity)

    def ask(self, question: str) -> str:
        """What the technician answers, as one line. Raises NobodyThere, Interrupted."""
        try:
            answer = self._display.prompt_until(printable_lines(question))
        except AnsiblePromptNoninteractive:
            raise NobodyThere(
                "There is no terminal to ask at", "Give the answers in a file: -e prosecours_answers=FILE"
            ) from None
        except AnsiblePromptInterrupt:
            raise Interrupted(
                "Interrupted. Nothing was written", "Start again when you have all answers"
            ) from None
        return str(bytes(answer).decode("utf-8", errors="replace")).strip()

    def listed(self, errors: Sequence[PlacedMistake], message: str) -> dict[str, Any]:
        """A failed result, whose errors are shown here: Ansible prints the result twice, as escaped JSON."""
        self.show("\n" + listing(errors, Path.cwd()), stderr=True)
        return {"failed": True, "msg": message}

    def text_of(self, path: Path) -> str:
        """Of a file that a technician named, decrypted where it is in the vault. Raises OSError."""
        if not path.is_file():
            raise OSError("there is no such file")
        return read_text(self._loader, path)

    @abstractmethod
    def act(self, arguments: dict[str, Any], variables: Variables) -> dict[str, Any]:
        """The action itself: `arguments` are checked and plain, `variables` are Ansible's, lazy."""


def failure(error: ProSecoursError) -> dict[str, Any]:
    """The failed result of an expected error: its sentence for people, its parts and kind for programs."""
    return {
        "failed": True,
        "msg": str(error),
        "error": type(error).__name__,
        "problem": error.problem,
        "remedy": error.remedy,
    }
