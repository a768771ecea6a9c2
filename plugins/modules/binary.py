# Copyright: Pro Secours maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of prosecours.backup.binary; the work is done by the action plugin of the same name."""

DOCUMENTATION = r"""
module: binary
short_description: Provide a pinned backup program on the controller
version_added: 0.1.0
description:
  - Makes sure that restic or rest-server, in a pinned version, is on the controller, and tells where.
  - >-
    The program is taken from the first place that has it: the O(path) given, the cache, the official
    release, a build of the pinned source with Go. Its SHA-256 is compared with the pinned one, or with the
    one that was recorded when it was built; a file of the cache that was cut or changed is fetched again.
  - Nothing is done on any managed host, and no connection is opened.
  - In check mode the cache is only looked at; RV(sha256) is null when the program would have to be fetched.
options:
  program:
    description: The program wanted.
    type: str
    choices: [restic, rest-server]
    default: restic
  platform:
    description: Where the program is to run, as Go names it.
    type: str
    choices: [windows/amd64, linux/amd64]
    default: windows/amd64
  version:
    description: One of the pinned versions; the newest when not given.
    type: str
  path:
    description: A file of your own on the controller; without it, the official release or a build of it.
    type: path
  sha256:
    description: The hash that the file at O(path) must have.
    type: str
  cache:
    description: >-
      The folder where fetched programs are kept. When not given, E(PROSECOURS_CACHE), else V(prosecours) in
      E(XDG_CACHE_HOME), else V(~/.cache/prosecours).
    type: path
attributes:
  check_mode:
    description: Can run in check mode and say what it would do.
    support: full
  diff_mode:
    description: A file in a cache has no contents worth showing.
    support: none
author:
  - Pro Secours maintainers (@prosecours)
"""

EXAMPLES = r"""
- name: Have restic for the clients at hand
  prosecours.backup.binary:
  run_once: true
  register: restic

- name: Use a copy that was checked and brought by hand
  prosecours.backup.binary:
    path: /srv/tools/restic.exe
    sha256: b0dd1fd21eea5d8fe1325f55f7118213c21f36de8a261e04c0624a5ab9fd7830
  run_once: true
"""

RETURN = r"""
path:
  description: The program's path on the controller.
  returned: success
  type: str
version:
  description: The program's version.
  returned: success
  type: str
  sample: 0.19.1
sha256:
  description: The program's SHA-256, or null in check mode when the program would have to be fetched.
  returned: success
  type: str
origin:
  description: V(path), V(release) or V(build); null in check mode when the program would have to be fetched.
  returned: success
  type: str
  sample: release
"""
