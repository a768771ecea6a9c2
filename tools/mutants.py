"""Each defence of docs/security.md switched off, one at a time: the test that the document names goes red.

    make mutants [MUTANTS="-k word"]

A mutant is a place in the source and what stands there instead, in a copy of the checkout. Mistakes in the
plan of the retention and in its proof have a table of their own, which `make test` runs
(tests/unit/maintenance/test_mutants.py). That this table is whole, and that each text still stands once where
it says, `make test` looks at too (tests/unit/tooling/test_defences.py).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
TABLE = CHECKOUT / "docs" / "security.md"
M, P = "plugins/module_utils", "plugins/plugin_utils"
LONGEST = 240
"""Seconds; a test that takes longer with a defence off is red too."""


@dataclass(frozen=True)
class Mutant:
    """One defence less."""

    row: str
    """The beginning of the first cell of its row in docs/security.md."""
    file: str
    old: str
    new: str
    test: str
    """What goes red, below tests/: as pytest takes it."""


MUTANTS = (
    # -- someone who has taken over a client's server ---------------------------------------------------
    Mutant(
        "delete snapshots", f"{M}/repository_host/supervision.py", '        "--append-only",\n', "",
        "integration/repository/test_attacks.py::test_nothing_is_deleted",
    ),
    Mutant(
        "overwrite them", f"{M}/repository_host/supervision.py",
        '        "--append-only",\n', '        "--append-only",\n        "--no-verify-upload",\n',
        "integration/repository/test_attacks.py::test_a_file_has_the_name_of_its_content",
    ),
    Mutant(
        "let forged snapshots push", f"{M}/maintenance/retention.py",
        " and disagreement(snapshot, rules) is None", "",
        "integration/maintenance/test_repository.py::test_forged_times_are_set_aside",
    ),
    Mutant(
        "have the provider's prune", f"{M}/maintenance/admission.py",
        "sealed.digest(sealed.pack_of(self._opener(), file))",
        "sealed.digest(set(sealed.listing_of(self._opener(), file)))",
        "attacks/test_forged_index.py::test_a_false_copy_of_everything_is_named_and_nothing_is_pruned",
    ),
    Mutant(
        "have the provider's prune", f"{M}/maintenance/admission.py",
        "if pack in self._packs and sealed.digest(claimed[pack]) != self._packs[pack]:", "if False:",
        "attacks/test_forged_index.py::test_an_index_that_lies_about_a_pack_that_was_read_is_named",
    ),
    Mutant(
        "have the provider's prune", f"{M}/maintenance/client.py",
        "admission.strict = True", "admission.strict = False",
        "attacks/test_forged_index.py"
        "::test_an_index_that_comes_while_the_prune_has_its_lock_is_not_believed",
    ),
    *(
        Mutant(
            "have the provider's prune", f"{M}/maintenance/{file}.py", old, new,
            f"attacks/test_forged_index.py::test_a_copy_that_{test}_and_nothing_is_pruned",
        )
        for file, old, new, test in (
            ("sealed", "if not frame.eof or frame.unused_data:", "if not frame.eof:",
             "only_this_program_could_read_is_named"),
            ("sealed", "if not frame.eof or frame.unused_data:", "if frame.unused_data:",
             "only_this_program_could_read_is_named"),
            ("admission", "if pack in twice & self._packs.keys():", "if False:",
             "another_decompressor_reads_is_named_by_restic"),
        )
    ),
    Mutant(
        "send versions in another", f"{M}/maintenance/repository.py",
        "host=self.server,", 'host=entry["hostname"],',
        "integration/maintenance/test_repository.py"
        "::test_versions_in_another_name_count_as_the_server_s_own",
    ),
    Mutant(
        "have the restore drill", f"{M}/maintenance/drill.py",
        "if (left := end - time.monotonic()) <= 0:", "if (left := 3600.0) <= 0:",
        "integration/maintenance/test_drill.py"
        "::test_a_drill_that_hangs_ends_in_time_and_names_what_was_not_read",
    ),
    Mutant(
        "have the restore drill", f"{M}/maintenance/trees.py",
        "for one in reversed(self.entries(tree, end))", "for one in self.entries(tree, end)",
        "attacks/test_drills.py",
    ),
    Mutant(
        "back up encrypted", f"{M}/maintenance/client.py",
        "for group in (older[-1:], earlier[-1:], older[:1])", "for group in (older[-1:], earlier[-1:])",
        "attacks/test_ransomware.py",
    ),
    Mutant(
        "back up encrypted", f"{M}/maintenance/client.py",
        "for group in (older[-1:], earlier[-1:], older[:1])", "for group in (older[-1:], older[:1])",
        "attacks/test_ransomware.py",
    ),
    Mutant(
        "back up encrypted", f"{M}/maintenance/trees.py",
        "total += sum(self._lengths.get(part, 0) for part in one.content)", "total += 0",
        "attacks/test_ransomware.py::test_sizes_that_a_version_claims_hide_no_loss",
    ),
    Mutant(
        "back up encrypted", f"{M}/maintenance/sudden_loss.py",
        "return max(entries, min(1.0, self.vanished / max(1, self.bytes_before)))", "return entries",
        "attacks/test_ransomware.py",
    ),
    Mutant(
        "back up encrypted", f"{M}/maintenance/sudden_loss.py",
        "median(past) if len(past) == USUAL else 0.0", "median(past) if past else 0.0",
        "unit/maintenance/test_sudden_loss.py"
        "::test_where_everything_changes_every_night_the_first_week_is_told",
    ),
    Mutant(
        "back up encrypted", f"{M}/maintenance/sudden_loss.py",
        'yield from (f"{path} is gone" for path in one.gone)', "yield from ()",
        "integration/maintenance/test_repository.py"
        "::test_a_folder_of_the_perimeter_that_is_gone_is_a_loss",
    ),
    *(
        Mutant(
            "have a loss pass for a directory that left", f"{M}/maintenance/{file}.py", old, new,
            "integration/maintenance/test_repository.py"
            f"::test_a_directory_that_left_the_contract_{test}",
        )
        for file, old, new, test in (
            ("repository", "left.less(lambda one: trees.holds(tree, one.stands, self.limit))", "left",
             "and_is_still_sent_is_judged_with_the_rest"),
            ("perimeter", "({*self.paths, *self.left} - wanted)", "(wanted)", "is_no_loss_and_hides_none"),
        )
    ),
    Mutant(
        "send a regular-looking version", f"{M}/maintenance/retention.py",
        "return snapshot.id not in rules.rejected and", "return",
        "integration/maintenance/test_repository.py"
        "::test_a_rejected_version_takes_the_place_of_no_honest_one",
    ),
    Mutant(
        "encrypt or empty files", f"{M}/maintenance/drill.py",
        "if (doubt := look.doubt())]", "if (doubt := None)]",
        "integration/maintenance/test_drill.py"
        "::test_what_is_not_what_its_name_says_is_a_doubt_and_no_failure",
    ),
    Mutant(
        "call the real versions incomplete", f"{M}/maintenance/retention.py",
        "for candidates in (honest, whole, settled):", "for candidates in (honest, whole):",
        "unit/maintenance/test_promise.py"
        "::test_an_incomplete_backup_replaces_no_complete_one_and_stands_in_where_there_is_none",
    ),
    Mutant(
        "fill the disk on which", f"{M}/maintenance/gate.py",
        "fenced = inside is not None and", "fenced = False and",
        "attacks/test_fence.py::test_no_configuration_no_key_and_no_folder_is_added_to_a_repository",
    ),
    Mutant(
        "fill the disk on which", f"{M}/maintenance/subscription.py",
        "or not self.was_fenced", "",
        "attacks/test_fence.py::test_a_fence_that_somebody_opened_is_found_and_closed",
    ),
    Mutant(
        "starve the maintenance", f"{M}/maintenance/reserve.py",
        "        close()\n        path.unlink(missing_ok=True)\n", "        close()\n",
        "attacks/test_fence.py::test_at_zero_bytes_free_the_maintenance_still_works_and_lets_in_again",
    ),
    Mutant(
        "delete in a bucket", f"{M}/maintenance/bucket.py",
        'state(f"Keep{number}", "Deny", ["s3:DeleteObject"], *kept, who=everyone)',
        'state(f"Keep{number}", "Allow", ["s3:DeleteObject"], *kept, who=everyone)',
        "integration/s3/test_s3.py::test_a_client_s_key_cannot_delete",
    ),
    Mutant(
        "overwrite in a bucket", f"{M}/maintenance/bucket.py",
        "return {key: newer for key, newer in found.items() if newer}", "return {}",
        "integration/s3/test_s3.py::test_what_was_overwritten_comes_back",
    ),
    Mutant(
        "read, fill or block", f"{M}/repository_host/supervision.py", '        "--private-repos",\n', "",
        "integration/repository/test_attacks.py::test_another_server_of_the_same_client_is_out_of_reach",
    ),
    Mutant(
        "read, fill or block", f"{M}/maintenance/bucket.py",
        'inside = f"{bucket}/{where.prefix}{server}/"', 'inside = f"{bucket}/{where.prefix}"',
        "integration/s3/test_s3.py::test_a_server_s_key_reaches_no_other_server",
    ),
    Mutant(
        "hasten the end", f"{M}/maintenance/retired.py",
        "days=known.days + (known.on != today)", "days=known.days + 1", "unit/maintenance/test_retired.py",
    ),
    Mutant(
        "hasten the end", f"{M}/maintenance/retired.py",
        "on = max(on, day_of(last) + timedelta(days=span))", "pass", "unit/maintenance/test_retired.py",
    ),
    Mutant(
        "hasten the end", f"{M}/maintenance/retired.py",
        "on = sighting.on + timedelta(days=span + 1 - sighting.days)", "on = sighting.on",
        "unit/maintenance/test_retired.py",
    ),
    Mutant(
        "hasten the end", f"{M}/maintenance/retired.py",
        "return Retired(last, None if held else on, held)", "return Retired(last, on, held)",
        "integration/maintenance/test_status.py"
        "::test_what_nobody_judged_holds_the_repository_of_a_retired_server",
    ),
    Mutant(
        "hasten the end", f"{M}/maintenance/retired.py",
        "*(arrivals.keys() - set(known.seen))", "", "unit/maintenance/test_retired.py",
    ),
    Mutant(
        "block the maintenance by a rubbish", f"{M}/maintenance/admission.py",
        "            self.aside[kind, name] = Aside(kind, name, there.at, str(error))\n",
        "            self._admitted[kind].add(name)\n",
        "attacks/test_forged_index.py::test_a_few_bytes_of_rubbish_are_named_and_hold_nothing_up",
    ),
    Mutant(
        "block the maintenance by a version", f"{M}/maintenance/client.py",
        "forged.suspects(admission, new) or ", "",
        "attacks/test_unreadable.py"
        "::test_versions_whose_folders_cannot_be_read_are_named_and_hold_nothing_up",
    ),
    Mutant(
        "block the maintenance by a version", f"{M}/maintenance/forged.py",
        "if name not in admission.trees:", "if False:",
        "attacks/test_unreadable.py"
        "::test_a_version_that_is_not_what_its_name_says_is_named_and_nothing_is_removed",
    ),
    Mutant(
        "block the maintenance by a version", f"{M}/maintenance/client.py",
        " or forged.unread(admission, new, repository.readable)", "",
        "attacks/test_unreadable.py::test_what_only_restic_cannot_read_is_named_and_nothing_is_removed",
    ),
    Mutant(
        "block the maintenance by a version", f"{M}/maintenance/client.py",
        "held |= forged.set_aside(admission, found, said, repository.readable)\n    return checked, held",
        "forged.set_aside(admission, found, said, repository.readable)\n    return checked, held",
        "attacks/test_unreadable.py"
        "::test_a_version_without_a_part_that_never_came_is_named_and_nothing_is_removed",
    ),
    Mutant(
        "block the maintenance by a version", f"{M}/maintenance/client.py",
        'return (admission.names("snapshots") or set()) - state.versions().keys()',
        'return admission.names("snapshots") or set()',
        "attacks/test_unreadable.py::test_what_a_version_that_was_whole_lacks_stays_damage",
    ),
    Mutant(
        "stop the maintenance by a lock", f"{M}/maintenance/locks.py",
        "return now - at > HOLDS", "return False", "attacks/test_locks.py",
    ),
    Mutant(
        "stop the maintenance by a lock", f"{M}/maintenance/sealed.py",
        'if not _fits(entry, LOCK) or "time" not in entry:', "if False:", "attacks/test_locks.py",
    ),
    Mutant(
        "stop the maintenance by a lock", f"{M}/maintenance/client.py",
        "except Locked as error:", "except Blocked as error:", "attacks/test_locks.py",
    ),
    *(
        Mutant(
            "exhaust the memory", f"{M}/maintenance/sealed.py", old, new,
            "attacks/test_volume.py"
            "::test_a_few_bytes_that_unfold_to_gigabytes_and_paths_without_end_are_rubbish",
        )
        for old, new in (
            ("key.document(file, LARGEST_INDEX)", "key.document(file, LARGEST_FILE)"),
            ("if len(clear) > largest:", "if False:"),
            ('if len(entry.get("paths") or ()) > MOST_PATHS:', "if False:"),
        )
    ),
    *(
        Mutant(
            "exhaust the memory", f"{M}/maintenance/{file}.py", old, new,
            "attacks/test_volume.py::test_a_folder_that_unfolds_in_memory_is_named_before_restic_reads_it",
        )
        for file, old, new in (
            ("sealed", 'or clear.count(b"{") > MOST_ENTRIES', ""),
            ("checks", "found = [] if lies else [", "found = ["),
            ("client", "{name: one.why for name, one in found.items() if one.unfolds}", "{}"),
        )
    ),
    Mutant(
        "exhaust the memory", f"{M}/maintenance/admission.py",
        "if total <= MOST_SAID:", "if True:",
        "attacks/test_volume.py"
        "::test_versions_that_say_very_much_push_no_honest_one_out_and_hold_removals_until_rejected",
    ),
    *(
        Mutant(
            "push versions out of what is shown", f"{M}/maintenance/{file}.py", old, new,
            "attacks/test_volume.py"
            "::test_versions_that_say_very_much_push_no_honest_one_out_and_hold_removals_until_rejected",
        )
        for file, old, new in (
            ("admission", "said[name], name) for name in said.keys()",
             "here[name].at, name) for name in said.keys()"),
            ("admission", "return not all(name.startswith(self._rejected) for name in self.roomless)",
             "return False"),
            ("client", "before.rejected.union(order.reject)", "before.rejected"),
        )
    ),
    Mutant(
        "exhaust the memory", f"{M}/maintenance/admission.py",
        "if size > LARGEST_SEALED[kind]:", "if False:",
        "unit/maintenance/test_admission.py::test_a_file_without_end_is_named_and_not_read",
    ),
    Mutant(
        "hold up the maintenance", f"{M}/maintenance/client.py", "if facts.unmeasured:", "if False:",
        "attacks/test_volume.py"
        "::test_thousands_of_versions_are_measured_some_a_day_and_nothing_is_removed_before",
    ),
    Mutant(
        "hold up the maintenance", f"{M}/maintenance/client.py",
        "except (Interrupted, Unmeasurable):", "except Unmeasurable:",
        "attacks/test_volume.py"
        "::test_folders_that_hold_each_other_by_the_billion_end_in_time_and_are_named",
    ),
    Mutant(
        "close the client's repository", f"{M}/maintenance/repository.py",
        "size = trees.size(snapshot.tree, self.limit)",
        "size = (self.trees.size(snapshot.tree, self.limit)[0], sum(\n"
        "                int(json.loads(line).get('size', 0))\n"
        "                for line in self._run('ls', '--json', '--no-lock', snapshot.id)))",
        "attacks/test_volume.py::test_five_bytes_that_claim_a_petabyte_are_five_bytes",
    ),
    Mutant(
        "close it by what is small", f"{M}/maintenance/subscription.py",
        " and use.at not in one.forged", "",
        "integration/maintenance/test_gate.py::test_a_version_that_is_rejected_closes_no_longer",
    ),
    Mutant(
        "have a forged version restored", f"{M}/maintenance/judgement.py",
        "None if counts(one, rules) else disagreement(one, rules) or REJECTED", "None",
        "attacks/test_restore.py::test_versions_that_are_set_aside_or_rejected_are_not_restored",
    ),
    Mutant(
        "have a forged version restored", f"{M}/maintenance/repository.py",
        'complete=entry["id"] not in incomplete,',
        'complete=not any(tag.startswith("incomplete=") and entry["id"].startswith(tag[11:])'
        ' for other in listed for tag in other.get("tags") or ()),',
        "attacks/test_restore.py::test_a_mark_names_a_whole_version_or_none",
    ),
    Mutant(
        "have a restore of his data write", f"{M}/maintenance/trees.py",
        "tree = json.loads(text, object_pairs_hook=once)", "tree = json.loads(text)",
        "attacks/test_restore.py::test_a_field_that_stands_twice_is_not_restored",
    ),
    *(
        Mutant(
            "have a restore of his data write", f"{M}/maintenance/trees.py", old, new,
            "attacks/test_restore.py::test_a_crafted_folder_is_not_restored_to_another_server",
        )
        for old, new in (
            ("if len({same(name) for name in names}) != len(names):", "if False:"),
            ("if len({same(name) for name in names})", "if len({*names})"),
            ("if encoded != sorted(encoded):", "if False:"),
            ('if name in ("", ".", "..") or IMPOSSIBLE.search(name):', "if IMPOSSIBLE.search(name):"),
            ('if name in ("", ".", "..") or IMPOSSIBLE.search(name):', 'if name in ("", ".", ".."):'),
            ("if one.type not in PLAIN and place(inner) is True:", "if False:"),
            ("return all(name.isascii() and name == name.lower() for name in fields)", "return True"),
        )
    ),
    Mutant(
        "the same where nobody judges", f"{P}/restore/run.py",
        "if not chosen and (closed := restore_plan.bare(request)):", "if False:",
        "unit/restore/test_run.py"
        "::test_links_of_a_version_that_nobody_judged_are_not_restored_to_another_server",
    ),
    Mutant(
        "the same where nobody judges", f"{P}/restore/facts.py",
        "if LISTED not in (one.strip() for one in text.splitlines()):", "if LISTED not in text:",
        "unit/restore/test_run.py"
        "::test_links_of_a_version_that_nobody_judged_are_not_restored_to_another_server",
    ),
    *(
        Mutant(
            "stop the maintenance or the status", f"{M}/maintenance/{file}.py",
            f"with contained():\n{' ' * deep}{what}", f"if True:\n{' ' * deep}{what}",
            f"attacks/test_volume.py::test_a_defect_that_one_{whose}_finds_stops_no_other",
        )
        for file, whose, deep, what in (
            ("fleet", "server", 16, "report = run("),
            ("fleet", "client", 12, "report, not_gone = _accounted("),
            ("status", "server", 20, "parts[server] = part("),
            ("status", "client", 20, "found[client.client] = status("),
        )
    ),
    Mutant(
        "bury what matters", f"{P}/monitoring/findings.py",
        "for text in rubbish[:MOST_NAMED]:", "for text in rubbish:",
        "unit/monitoring/test_findings.py::test_a_flood_is_counted_and_hides_no_key",
    ),
    Mutant(
        "bury what matters", f"{M}/maintenance/admission.py",
        "key=lambda one: (one.why != UNKNOWN_KEY, one.at, one.name)", "key=lambda one: (one.at, one.name)",
        "attacks/test_forged_index.py::test_a_flood_of_rubbish_is_counted_and_hides_no_key",
    ),
    Mutant(
        "add a key of his own", f"{M}/maintenance/admission.py",
        'self.aside["keys", name] = Aside(', "Aside(",
        "attacks/test_forged_index.py::test_a_key_of_his_own_is_named",
    ),
    Mutant(
        "go on filling it", f"{M}/maintenance/volume.py",
        "return self.bytes > self.subscribed_gb * GB", "return False",
        "integration/maintenance/test_gate.py"
        "::test_over_the_volume_new_backups_are_refused_and_nothing_else",
    ),
    Mutant(
        "stop the backups quietly", f"{P}/monitoring/findings.py",
        "if missed and not answers:", "if False:", "unit/monitoring/test_findings.py",
    ),
    Mutant(
        "steer a technician's terminal", f"{M}/maintenance/printable.py",
        "if text.isprintable():", "if True:", "attacks/test_terminal.py",
    ),
    Mutant(
        "steer a technician's terminal", f"{M}/maintenance/printable.py",
        "if text.startswith(_FORMULA) else", "if False else", "attacks/test_terminal.py",
    ),
    # -- someone who has an external disk in his hands --------------------------------------------------
    Mutant(
        "bring in what was not there", f"{M}/maintenance/disks.py",
        "        missing = sorted((name",
        "        manifest = Manifest({n: e.size for n, e in there.items()}, manifest.begun, manifest.ended)\n"
        "        missing = sorted((name",
        "integration/maintenance/test_disks.py::test_what_was_added_on_the_way_stays_on_the_disk",
    ),
    Mutant(
        "bring in what was not there", f"{M}/maintenance/disks.py",
        "    if lacking:\n", "    if False:\n",
        "integration/maintenance/test_disks.py::test_what_is_not_what_was_handed_over_is_not_loaded",
    ),
    Mutant(
        "bring in false packs", f"{M}/maintenance/admission.py",
        "if self._packs.get(pack) != sealed.digest(blobs):", "if False:",
        "integration/maintenance/test_disks.py"
        "::test_forgeries_that_were_handed_over_are_judged_as_uploads_are",
    ),
    Mutant(
        "date a version as he likes", f"{M}/maintenance/disks.py",
        "if manifest.begun - CLOCK <= claimed <= manifest.ended + CLOCK:", "if True:",
        "integration/maintenance/test_disks.py"
        "::test_forgeries_that_were_handed_over_are_judged_as_uploads_are",
    ),
    Mutant(
        "lead root astray", f"{M}/maintenance/disks.py",
        "    if path.is_symlink():\n", "    if False:\n",
        "integration/maintenance/test_disks.py::test_a_disk_is_prepared_once_and_for_one_server",
    ),
    Mutant(
        "read a version that goes back", f"{M}/maintenance/disks.py",
        "key = admission.key_for(code)", 'key = admission.key_for("")',
        "integration/maintenance/test_disks.py"
        "::test_a_version_on_a_disk_is_all_that_a_restore_needs_and_no_more",
    ),
    # -- someone on the network, on the repository host, in the client's name ---------------------------
    Mutant(
        "slip in another restic", f"{P}/binaries.py", "if file_sha256(path) != sha256:", "if False:",
        "unit/tooling/test_binaries.py::test_a_damaged_copy_in_the_cache_is_fetched_again",
    ),
    Mutant(
        "escape from one instance", f"{M}/repository_host/supervision.py", "NoNewPrivileges=yes\n", "",
        "unit/repository_host/test_supervision.py",
    ),
    Mutant(
        "log in at the repository", f"{M}/repository_host/supervision.py",
        '        *("--htpasswd-file", f"{config}/htpasswd"),\n', '        "--no-auth",\n',
        "integration/repository/test_attacks.py::test_nothing_without_the_login",
    ),
    Mutant(
        "have root write where", f"{M}/maintenance/gate.py",
        "os.fwalk(self.top)", "os.fwalk(self.top, follow_symlinks=True)",
        "integration/maintenance/test_gate.py::test_the_gate_never_leads_elsewhere",
    ),
    Mutant(
        "change data without", f"{M}/maintenance/client.py",
        "if checked and checked.damage:", "if False:",
        "integration/maintenance/test_checks.py"
        "::test_damage_is_named_with_what_it_touches_and_nothing_is_removed",
    ),
    Mutant(
        "remove versions without", f"{M}/maintenance/client.py",
        "return objections({**here, **seen}.values(), seen.keys() - here.keys()",
        "return objections(here.values(), frozenset()",
        "integration/maintenance/test_repository.py"
        "::test_a_version_that_someone_else_removed_breaks_the_promise_visibly",
    ),
    Mutant(
        "have another client's data", f"{P}/restore/request.py",
        "    if address.strip().lower() in own:\n", "    if True:\n",
        "unit/restore/test_request.py::test_each_mistake_is_one_sentence",
    ),
    Mutant(
        "have another client's data", f"{P}/restore/request.py",
        "pattern=True) and not _lies_in(item, perimeter):", "pattern=True) and False:",
        "unit/restore/test_request.py::test_each_mistake_is_one_sentence",
    ),
    Mutant(
        "have another client's data", f"{P}/restore/request.py",
        "if server is not None and server not in client.hosts:", "if False:",
        "unit/restore/test_request.py::test_each_mistake_is_one_sentence",
    ),
    Mutant(
        "slip headers", f"{P}/documents/mail.py",
        'printable(" ".join(message.subject.split()))', "message.subject",
        "unit/documents/test_mail.py::test_a_subject_is_one_line",
    ),
    Mutant(
        "slip headers", f"{P}/documents/mail.py",
        'made["To"] = ", ".join(address(one) for one in message.to)',
        'made["To"] = ", ".join(message.to)',
        "unit/documents/test_mail.py::test_an_address_that_is_none_leaves_nothing",
    ),
    # -- a technician, and our own mistakes -------------------------------------------------------------
    Mutant(
        "change the journal afterwards", f"{P}/journal/entries.py",
        'elif entry.get("prev") != (last["hash"] if last else BEGINNING):', "elif False:",
        "unit/journal/test_entries.py",
    ),
    Mutant(
        "change or cut off the journal that is in a database", "schemas/journal.sql",
        "GRANT SELECT, INSERT (line) ON", "GRANT SELECT, DELETE, INSERT (line) ON",
        "integration/journal/test_database.py::test_a_writer_may_add_and_read_and_nothing_else",
    ),
    Mutant(
        "change or cut off the journal that is in a database", f"{P}/journal/database.py",
        """has_any_column_privilege(oid, 'UPDATE')""", "false",
        "integration/journal/test_database.py::test_a_login_that_could_change_the_journal_writes_nothing",
    ),
    Mutant(
        "have his password for it in a file", f"{P}/journal/database.py",
        'if parts.password is not None or "password" in dict(given):', "if False:",
        "unit/journal/test_database.py::test_an_address_is_refused_by_a_sentence_without_a_secret",
    ),
    Mutant(
        "have his password for it in a file", f"{P}/journal/database.py",
        '"sslmode": "prefer" if _here(host) else TRUSTED,', '"sslmode": "prefer",',
        "unit/journal/test_database.py::test_a_server_elsewhere_has_to_prove_itself",
    ),
    Mutant(
        "cut the end of the journal", f"{P}/journal/entries.py",
        "cut = _cut(writing, last, bool(lost))", "cut = None",
        "unit/journal/test_entries.py::test_an_end_that_was_cut_off_is_not_forgiven_by_the_next_run",
    ),
    Mutant(
        "write the journal and its head", f"{P}/journal/elsewhere.py",
        "if problem := _wrong(token, one.head.encode(), roots):", 'if problem := "":',
        "unit/journal/test_elsewhere.py::test_a_stamp_that_is_not_true_is_named",
    ),
    Mutant(
        "monitoring that stopped", f"{P}/monitoring/watchdog.py",
        "target = (parts if well else unwell(parts)).geturl()", "target = parts.geturl()",
        "unit/monitoring/test_watchdog.py",
    ),
    Mutant(
        "findings sent in clear", f"{P}/monitoring/channels.py",
        "if problem := _unsafe(channel):", 'if problem := "":',
        "unit/monitoring/test_channels.py::test_an_address_that_will_not_do_is_said_and_not_used",
    ),
    Mutant(
        "a mail in clear", f"{P}/documents/mail.py",
        "            connection.starttls(context=context)\n", "            pass\n",
        "unit/documents/test_mail.py::test_nothing_is_sent_in_clear",
    ),
    *(
        Mutant(
            "have a filled annex run", f"{P}/clients/answers.py", old, new,
            "unit/clients/test_answers.py::test_a_hostile_annex_is_one_sentence",
        )
        for old, new in (
            ('if re.search(r"\\{[{%#]", text):', "if False:"),
            ("yield from _text(str(key), way)", "yield from ()"),
            ("(value, ANNEX_OF_CLIENT, ANNEX_OF_SERVER)", "(value, of_client(), of_server())"),
            ("data = file.read(LARGEST + 1)", "data = file.read(LARGEST)"),
        )
    ),
    Mutant(
        "pruning a repository", f"{M}/maintenance/client.py",
        "if checked and checked.damage:", "if False:",
        "integration/maintenance/test_checks.py"
        "::test_damage_is_named_with_what_it_touches_and_nothing_is_removed",
    ),
    Mutant(
        "a backup that ends in the middle", f"{M}/maintenance/admission.py",
        "            new = here.keys() - self._admitted[kind]\n",
        "            new = here.keys() - self._admitted[kind]\n"
        "            new = set() if kind == 'snapshots' and self._admitted[kind] else new\n",
        "attacks/test_meanwhile.py::test_a_backup_that_ends_in_the_middle_of_a_maintenance_is_whole",
    ),
    Mutant(
        "a backup that ends in the middle", f"{M}/maintenance/admission.py",
        "            return self.crowded\n", "            return False\n",
        "attacks/test_meanwhile.py"
        "::test_versions_without_room_that_come_before_the_removal_stop_the_pruning",
    ),
    Mutant(
        "a backup that ends in the middle", f"{M}/maintenance/repository.py",
        'if left := self.storage.listed("snapshots").keys() & set(ids):', "if left := set():",
        "attacks/test_meanwhile.py"
        "::test_versions_without_room_that_come_before_the_removal_stop_the_pruning",
    ),
)  # fmt: skip
# fmt: off
_LAB = "seen on a whole lab or in a scenario of molecule, which take minutes each"
ELSEWHERE = {
    **dict.fromkeys(
        (
            "read the passwords", "put a program of his own", "read secrets from a command line",
            "stand in for a client's server", "stand in for the repository", "learn the Windows password",
            "have live data overwritten", "act without a trace", "read secrets in it",
            "a wrong encryption password", "a client deleted", "a run that is cut", "a disk that fills up",
            "a secret in a diff",
        ),
        _LAB,
    ),
    "a retention policy that is wrong": "42 mutants in tests/unit/maintenance/test_mutants.py",
    "catch another server's access": "the row says that it is not stopped; its end is seen in the lab",
    "read or write another client's": "a system user for each: Linux's own, no line of ours",
    "read what is on it": "restic's own seals: no line of ours",
    "attack the provider over WinRM": "parsers that are given garbled answers: nothing to switch off",
}
# fmt: on
"""Rows that have no mutant here, and why."""


def rows(text: str) -> Iterator[tuple[str, str]]:
    """First cell and tests of each row of docs/security.md that names a test."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if line.startswith("|") and len(cells) == 3 and cells[2] and cells[2] not in ("shown by", "---"):
            yield cells[0], cells[2]


def mutated(one: Mutant, checkout: Path = CHECKOUT) -> str:
    """The file with the defence off. Raises ValueError where its text does not stand there once."""
    text = (checkout / one.file).read_text("utf-8")
    if text.count(one.old) != 1:
        raise ValueError(f"{one.file}: {one.old!r} stands there {text.count(one.old)} times")
    return text.replace(one.old, one.new)


def copied(place: Path) -> None:
    """All that git knows or would know of the checkout, as it stands."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, capture_output=True, check=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, place / name)


def red(place: Path, *tests: str) -> tuple[bool, str]:
    """Whether one of them fails there, and the last lines that pytest said. Raises SystemExit where pytest
    ran none: that shows nothing."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "-n", "0", "-x", "-q", "--tb=line"),
            *(f"tests/{test}" for test in tests),
        ],
        cwd=place,
        # An older translation of the file that was changed would be run in its place.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _unused = process.communicate(timeout=LONGEST * len(tests))
    except subprocess.TimeoutExpired:
        return True, f"it had not ended after {LONGEST * len(tests)} s"
    finally:  # also what the test of a defence against hanging has started
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(tests)}: pytest ended with {process.returncode}\n{printed[-3000:]}")
    return process.returncode == 1, "\n".join(printed.strip().splitlines()[-3:])


def main() -> int:
    """Exit code 1 when a mutant survives, or a test is red without one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-k", default="", metavar="WORD", help="only those whose row, file or test has it")
    wanted = parser.parse_args().k
    chosen = [one for one in MUTANTS if wanted in f"{one.row} {one.file} {one.test}"]
    if not chosen:
        parser.error(f"no mutant's row, file or test has {wanted!r}")
    survived = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        place = Path(folder)
        copied(place)
        failed, said = red(place, *dict.fromkeys(one.test for one in chosen))
        if failed:
            print(f"red with all defences on:\n{said}")
            return 1
        for number, one in enumerate(chosen, start=1):
            begun = time.monotonic()
            target = place / one.file
            whole = target.read_text("utf-8")
            target.write_text(mutated(one, place), "utf-8")
            try:
                failed, said = red(place, one.test)
            finally:
                target.write_text(whole, "utf-8")
            if not failed:
                survived.append(one)
            verdict = "red" if failed else "SURVIVED"
            print(
                f"{number} of {len(chosen)}: {verdict} in {time.monotonic() - begun:.0f} s:"
                f" {one.row}: {one.old.strip()[:60]!r} ({one.test})",
                flush=True,
            )
    print(f"{len(chosen) - len(survived)} of {len(chosen)} mutants were found.")
    return int(bool(survived))


if __name__ == "__main__":
    sys.exit(main())
