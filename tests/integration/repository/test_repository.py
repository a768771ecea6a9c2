"""The role on a host without systemd: predicted, brought up, left alone, repaired; and a client's end."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import ssl
import stat
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import ADDRESS, Depot, free_port

AS_ROOT = os.geteuid() == 0


def mode(path: Path) -> str:
    found = path.stat()
    return f"{pwd.getpwuid(found.st_uid).pw_name} {stat.S_IMODE(found.st_mode):04o}"


def until(ready: object, seconds: float = 15.0) -> None:
    assert callable(ready)
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_new_host_is_predicted_brought_up_and_left_alone(empty_depot: Depot) -> None:
    client = empty_depot.add("ferme_neuve", password="Mot-de-Passe-1!")
    predicted = empty_depot.play("--check")
    assert predicted.code == 0, predicted.output
    assert not (empty_depot.folder / "data").exists()
    first = empty_depot.brought_up()
    # What check mode cannot know: the text of the authority's certificate that is kept on the controller.
    assert [change for change in first.changes if not change.endswith("/ca.pem")] == predicted.changes
    assert len(predicted.changes) > 8
    second = empty_depot.brought_up()
    assert (second.counters("depot")["changed"], second.changes) == (0, [])
    assert "Mot-de-Passe-1!" not in predicted.output + first.output + second.output
    assert "$2b$" not in first.output

    done = empty_depot.restic(client, "init")
    assert done.returncode == 0, done.stderr
    assert (empty_depot.data("ferme_neuve") / "ferme_neuve-srv" / "config").exists()


def test_each_client_has_its_own_user_folder_and_port(depot: Depot) -> None:
    pids = depot.pids()
    assert sorted(pids) == ["ferme_du_bois", "ferme_du_val"]
    for name, pid in pids.items():
        user = f"ps-{name}" if AS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
        owner = Path(f"/proc/{pid}").stat().st_uid
        assert pwd.getpwuid(owner).pw_name == user
        # It makes no folder beside those of its servers.
        assert mode(depot.data(name)) == ("root 0750" if AS_ROOT else f"{user} 0700")
        assert mode(depot.data(name) / f"{name}-srv") == f"{user} 0700"
        for file in ("htpasswd", "tls.crt", "tls.key"):
            # The instance reads its password file and its key, and can change neither.
            assert mode(depot.config(name) / file) == ("root 0640" if AS_ROOT else f"{user} 0600")
        line = Path(f"/proc/{pid}/cmdline").read_text("utf-8").split("\0")
        assert {"--append-only", "--private-repos", "--tls"} <= set(line)
        assert line[line.index("--max-size") + 1] == "2000000000"  # 1 GB subscribed, and as much again
        assert depot.clients[name].password not in " ".join(line)
    assert mode(depot.folder / "config" / ".authority" / "ca.key").endswith(" 0600")


@pytest.mark.skipif(not AS_ROOT, reason="only root can make a user for each client")
def test_one_instance_cannot_read_anothers_data(depot: Depot) -> None:
    other, mine = depot.data("ferme_du_val"), pwd.getpwnam("ps-ferme_du_bois")
    for path in (other, depot.config("ferme_du_val"), depot.folder / "config" / ".authority"):
        done = subprocess.run(
            ["ls", str(path)],
            user=mine.pw_uid,
            group=mine.pw_gid,
            extra_groups=[],
            capture_output=True,
            check=False,
        )
        assert done.returncode != 0


def test_an_instance_that_ends_is_started_again(depot: Depot) -> None:
    before = depot.pids()["ferme_du_val"]
    os.kill(before, signal.SIGKILL)
    until(lambda: depot.pids().get("ferme_du_val", before) != before)


def test_what_was_edited_is_repaired_and_named(depot: Depot) -> None:
    config, before = depot.config("ferme_du_val"), depot.pids()
    conf = depot.folder / "config" / ".supervisor" / "instances" / "ferme_du_val.conf"
    for path in (config / "htpasswd", conf):
        path.write_text(path.read_text("utf-8").replace("e", "f"), "utf-8")
    begin, first, *rest = (config / "tls.key").read_text("utf-8").splitlines()
    (config / "tls.key").write_text("\n".join([begin, first[::-1], *rest, ""]), "utf-8")
    played = depot.brought_up()
    # A key and its certificate are made together.
    edited = (config / "htpasswd", config / "tls.crt", conf)
    assert played.changes == [f"{path} (ferme_du_val)" for path in edited]
    depot.left_alone()
    after = depot.pids()
    assert after["ferme_du_bois"] == before["ferme_du_bois"]
    assert after["ferme_du_val"] != before["ferme_du_val"]


def test_rights_are_repaired_without_a_restart(depot: Depot) -> None:
    before = depot.pids()
    depot.data("ferme_du_val").chmod(0o755)
    (depot.config("ferme_du_val") / "tls.key").chmod(0o644)
    predicted = depot.play("--check").changes
    played = depot.brought_up()
    assert played.changes == predicted
    assert len(played.changes) == 2
    assert depot.pids() == before
    assert mode(depot.data("ferme_du_val")).endswith(" 0750" if AS_ROOT else " 0700")


def test_a_replaced_program_is_replaced_again(depot: Depot) -> None:
    program, before = depot.folder / "bin" / "rest-server", depot.pids()
    good = program.read_bytes()
    program.unlink()
    program.write_bytes(b"#!/bin/sh\nexec sleep 600\n")
    depot.brought_up()
    assert program.read_bytes() == good
    assert depot.pids() == before  # they never ran the other one


def test_a_new_password_or_volume_restarts_this_client_only(depot: Depot) -> None:
    before = depot.pids()
    depot.add("ferme_du_val", password="another-one")
    predicted = depot.play("--check").changes
    played = depot.brought_up()
    assert played.changes == predicted
    assert depot.pids()["ferme_du_bois"] == before["ferme_du_bois"]
    assert depot.pids()["ferme_du_val"] != before["ferme_du_val"]
    client = depot.add("ferme_du_val", subscribed_gb=3)
    assert "+command" in depot.brought_up().output
    line = Path(f"/proc/{depot.pids()['ferme_du_val']}/cmdline").read_text("utf-8")
    assert "--max-size\x006000000000\0" in line
    assert depot.restic(client, "cat", "config").returncode == 10  # let in; nothing is there yet
    depot.add("ferme_du_val")
    depot.brought_up()


def test_a_run_that_was_cut_before_the_restart_is_made_good(depot: Depot) -> None:
    """As if the last run had written the password file and was then ended."""
    before = depot.pids()
    file = depot.config("ferme_du_bois") / "htpasswd"
    before_it = file.read_text("utf-8")
    depot.add("ferme_du_bois", password="new")
    depot.brought_up()
    written, now = file.read_text("utf-8"), depot.pids()
    depot.add("ferme_du_bois")
    file.write_text(before_it, "utf-8")
    assert written != before_it
    played = depot.brought_up()
    assert len(played.changes) == 1
    assert depot.pids()["ferme_du_bois"] != now["ferme_du_bois"]
    assert depot.pids()["ferme_du_val"] == before["ferme_du_val"]


def test_a_port_that_is_taken_is_said_and_stops_no_other_client(empty_depot: Depot) -> None:
    taken = empty_depot.add("autre_ferme")
    with socket.create_server((ADDRESS, taken.port)):
        played = empty_depot.play()
        assert played.code != 0
        assert "autre_ferme: The instance of autre_ferme does not answer" in played.output
        assert "address already in use" in played.output
        assert "ferme_neuve" in empty_depot.pids()
    empty_depot.brought_up()
    assert sorted(empty_depot.pids()) == ["autre_ferme", "ferme_neuve"]
    empty_depot.left_alone()


def test_errors_of_all_clients_at_once_and_nothing_done(depot: Depot) -> None:
    bois, before = depot.clients["ferme_du_bois"], depot.pids()
    file = depot.folder / "inventory" / "clients" / "ferme_du_val.yml"
    text = file.read_text("utf-8")
    # Another port in the URL, as if something forwarded from there.
    file.write_text(text.replace("vars:", f"vars:\n        prosecours_repository_port: {bois.port}"), "utf-8")
    depot.add("ferme_du_bois", password="x" * 73)
    played = depot.play()
    file.write_text(text, "utf-8")
    depot.add("ferme_du_bois")
    assert played.code != 0
    assert f"has the port {bois.port} at depot too" in played.output
    assert "it is longer than 72 bytes" in played.output
    assert depot.pids() == before
    depot.left_alone()


def test_each_of_two_hosts_runs_its_own_clients(empty_depot: Depot) -> None:
    empty_depot.add_host()
    refused = empty_depot.play()
    assert refused.code != 0
    assert "ferme_neuve: prosecours_repository_host: there are several repository hosts" in refused.output
    assert empty_depot.pids() == {}
    empty_depot.add("ferme_neuve", host="depot")
    empty_depot.add("ferme_ouest", host="west")
    empty_depot.brought_up()
    assert sorted(empty_depot.pids()) == ["ferme_neuve", "ferme_ouest"]
    held = {host: sorted(path.name for path in host.iterdir()) for host in empty_depot.folder.rglob("data")}
    assert held == {
        empty_depot.folder / "data": ["ferme_neuve"],
        empty_depot.folder / "west" / "data": ["ferme_ouest"],
    }
    authorities = {path.read_text("utf-8") for path in empty_depot.folder.rglob("ca.pem")}
    assert len(authorities) == 2  # who takes one host over cannot stand in for the other
    empty_depot.left_alone()


# -- certificates ---------------------------------------------------------------------------------------


def served(depot: Depot, name: str) -> str:
    """PEM of the certificate that the instance shows."""
    return ssl.get_server_certificate((ADDRESS, depot.clients[name].port), ca_certs=str(depot.ca))


def test_a_certificate_is_issued_anew_before_it_ends_and_the_authority_stays(depot: Depot) -> None:
    authority = depot.ca.read_text("utf-8")
    old = served(depot, "ferme_du_val")
    short = ("-e", "prosecours_repository_certificate_days=30", "-e", "prosecours_repository_renew_days=29")
    depot.left_alone(*short)  # good for longer: nothing to do
    for path in (depot.folder / "config").glob("ferme_*/tls.crt"):
        path.unlink()
    depot.brought_up(*short)
    soon = served(depot, "ferme_du_val")
    assert soon != old
    predicted = depot.play("--check").changes  # 30 days are less than the 60 at which it is renewed
    played = depot.brought_up()
    assert played.changes == predicted
    assert len(played.changes) == 4
    assert served(depot, "ferme_du_val") not in (old, soon)
    assert depot.ca.read_text("utf-8") == authority
    depot.left_alone()


def test_a_lost_key_of_the_authority_is_said_and_never_made_anew(depot: Depot) -> None:
    key = depot.folder / "config" / ".authority" / "ca.key"
    kept = key.read_text("utf-8")
    key.unlink()
    played = depot.play()
    key.write_text(kept, "utf-8")
    key.chmod(0o600)
    assert played.code != 0
    assert "ca.key is missing or not the key" in played.output
    depot.left_alone()


def make_certificate(folder: Path, name: str) -> tuple[str, str]:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{name}", "-days", "100", "-noenc"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made = ["openssl", "req", "-x509", *kind, *subject, "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(made, check=True, capture_output=True)
    return f"prosecours_repository_certificate={certificate}", f"prosecours_repository_key={key}"


def test_a_certificate_from_elsewhere(depot: Depot, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, ADDRESS)
    wrong_name, wrong_key = make_certificate(tmp_path, "192.0.2.9")
    before = depot.pids()
    refused = depot.play("-e", certificate, "-e", wrong_key)
    assert "does not fit the key given" in refused.output
    refused = depot.play("-e", wrong_name, "-e", wrong_key)
    assert f"is not good for {ADDRESS}" in refused.output
    assert depot.pids() == before

    depot.brought_up("-e", certificate, "-e", key)
    shown = ssl.get_server_certificate((ADDRESS, depot.clients["ferme_du_val"].port))
    assert shown.strip() == (tmp_path / f"{ADDRESS}.crt").read_text("utf-8").strip()
    again = depot.brought_up("-e", certificate, "-e", key)
    assert again.changes == []
    assert "PRIVATE KEY" not in again.output

    depot.brought_up()  # back to the own authority, which is the one that agents trust
    served(depot, "ferme_du_val")


# -- the end of a contract ------------------------------------------------------------------------------


def remove(depot: Depot, name: str, again: str, *arguments: str) -> tuple[int, str]:
    typed = ("-e", f"prosecours_remove_client={name}", "-e", f"prosecours_remove_client_again={again}")
    played = depot.play(*typed, *arguments, playbook="remove_client")
    return played.code, played.output


def test_a_client_that_leaves_is_left_alone_until_it_is_removed_by_name(empty_depot: Depot) -> None:
    leaving = empty_depot.add("ferme_partie")
    empty_depot.brought_up()
    assert empty_depot.restic(leaving, "init").returncode == 0
    source = empty_depot.folder / "inventory"
    assert empty_depot.restic(leaving, "backup", str(source)).returncode == 0

    code, output = remove(empty_depot, "ferme_partie", "ferme_partie")
    assert (code != 0, "is in the inventory" in output) == (True, True)
    file = empty_depot.folder / "inventory" / "clients" / "ferme_partie.yml"
    file.write_text(file.read_text("utf-8") + "\t: [", "utf-8")  # no contract any more for Ansible
    code, output = remove(empty_depot, "ferme_partie", "ferme_partie")
    assert (code != 0, "is in the inventory" in output) == (True, True)
    empty_depot.forget("ferme_partie")
    played = empty_depot.brought_up()
    assert "ferme_partie: not in the inventory for this host, left as it is" in played.output
    assert played.changes == []
    assert empty_depot.restic(leaving, "snapshots").returncode == 0

    code, output = remove(empty_depot, "ferme_partie", "ferme_parti")
    assert (code != 0, "Nothing was removed" in output) == (True, True)
    code, output = remove(empty_depot, "ferme_partie", "ferme_partie", "--check")
    assert (code, "bytes, 1 snapshots" in output) == (0, True), output
    assert empty_depot.restic(leaving, "snapshots").returncode == 0

    code, output = remove(empty_depot, "ferme_partie", "ferme_partie")
    assert code == 0, output
    assert sorted(empty_depot.pids()) == ["ferme_neuve"]
    assert not list(empty_depot.folder.rglob("*ferme_partie*"))
    if AS_ROOT:
        with pytest.raises(KeyError):
            pwd.getpwnam("ps-ferme_partie")
    code, output = remove(empty_depot, "ferme_partie", "ferme_partie")
    assert (code, "Nothing of it is on this host" in output) == (0, True), output
    empty_depot.left_alone()


def test_nothing_is_removed_where_nobody_can_answer(depot: Depot) -> None:
    """Without a terminal and without the names: asked, not answered, nothing done."""
    before = depot.pids()
    played = depot.play(playbook="remove_client")
    assert played.code != 0
    assert depot.pids() == before


def test_a_third_client_is_one_more_file(depot: Depot) -> None:
    before = depot.pids()
    depot.add("troisieme", port=free_port())
    depot.brought_up()
    after = depot.pids()
    assert sorted(after) == sorted([*before, "troisieme"])
    assert {name: after[name] for name in before} == before
