"""tools/fresh up to the bare root, and after it: mmdebstrap and bubblewrap are stand-ins here."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from unit.tooling.machine import CHECKOUT, Machine

# It copies the root that it is given to where the test looks, and then does what the test says.
BWRAP = """
[ "${{!#}}" = true ] && exit {cannot_mount}
env >{folder}/environment
cp -r "$2" {folder}/seen
{then}
"""
# The tarball is what follows the suite.
MMDEBSTRAP = """
while [[ $1 = --* ]]; do shift; done
echo "$@" >{folder}/made
mkdir -p {folder}/base/etc && touch {folder}/base/etc/bare && tar -C {folder}/base -cf "$2" etc
"""
MIRRORS = """
https://mirror.example/debian/ bookworm main
https://mirror.example/debian/ bookworm contrib
https://mirror.example/security/ bookworm-security main
https://mirror.example/debian/ bookworm-backports main
https://others.example/ stable main
""".strip()


class Builder(Machine):
    """Debian 12 with a way to its registries, called by root, and a checkout with one commit."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cache = folder / "cache"
        self.has("chmod chown cp git mv sed sort stat tar touch")
        text = (CHECKOUT / "tools" / "fresh").read_text("utf-8")
        tool = self.checkout / "tools" / "fresh"
        tool.write_text(text.replace("/etc/os-release", f"{folder}/os-release"), "utf-8")
        tool.chmod(0o755)
        self.system("debian", "bookworm")
        self.program("id", "echo 0")
        self.program(
            "apt-config", "echo 'Acquire::http::Proxy \"http://proxy.example\";'\necho 'APT::Other \"1\";'"
        )
        self.program("apt-get", f"echo '{MIRRORS}'")
        self.program("mmdebstrap", MMDEBSTRAP.format(folder=folder))
        self.root("exit 7")
        for words in ("init --quiet", "add --all", "commit --quiet --message=one"):
            self.git(*words.split())

    def system(self, name: str, codename: str) -> None:
        (self.folder / "os-release").write_text(f"ID={name}\nVERSION_CODENAME={codename}\n", "utf-8")

    def root(self, then: str, cannot_mount: int = 0) -> None:
        self.program("bwrap", BWRAP.format(folder=self.folder, then=then, cannot_mount=cannot_mount))

    def git(self, *words: str, folder: Path | None = None) -> str:
        own = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        return subprocess.run(
            ["git", *own, *words], cwd=folder or self.checkout, check=True, capture_output=True, text=True
        ).stdout

    def fresh(self, **variables: str) -> tuple[int, str]:
        return self.run("fresh", **self.environment(variables))

    def environment(self, variables: dict[str, str]) -> dict[str, str]:
        return {"HOME": str(self.folder / "home"), "PROSECOURS_CACHE": str(self.cache), **variables}

    @property
    def left(self) -> list[str]:
        """All that a run leaves behind, but for what the stand-ins wrote down."""
        temporary = [path.name for path in self.folder.glob("tmp.*")]
        return sorted([*temporary, *(path.name for path in self.cache.glob("*/*"))])


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


def test_the_commands_run_in_a_clone_of_what_is_committed(builder: Builder) -> None:
    (builder.checkout / "not-committed").touch()
    assert builder.fresh() == (
        7,
        "What is not committed is not in it.\n"
        "Making a bare Debian bookworm (about a minute, once)\n"
        "A bare Debian bookworm, and in it: make demo && make test\n",
    )
    root = builder.folder / "seen"
    assert (root / "etc" / "bare").exists()
    lines = (root / "root" / "run").read_text("utf-8").splitlines()
    assert lines[-4:] == ["cd", "git clone --quiet origin backup", "cd backup", "make demo && make test"]
    head = builder.git("rev-parse", "HEAD")
    assert builder.git("rev-parse", "HEAD", folder=root / "root" / "origin") == head
    assert builder.left == ["bookworm-minbase-git-make.tar"]


def test_the_bare_root_is_made_once(builder: Builder) -> None:
    builder.fresh()
    builder.root("exit 0")
    assert builder.fresh(RUN="make lint") == (0, "A bare Debian bookworm, and in it: make lint\n")
    assert builder.fresh(SUITE="trixie")[1].startswith("Making a bare Debian trixie")
    assert builder.left == ["bookworm-minbase-git-make.tar", "trixie-minbase-git-make.tar"]


def test_this_machine_lends_its_way_to_the_registries_and_nothing_else(builder: Builder) -> None:
    config = builder.folder / "home" / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text("[global]\ntimeout = 9\n", "utf-8")
    authority = builder.folder / "authority.pem"
    authority.write_text("an authority\n", "utf-8")
    builder.fresh(
        SUITE="trixie",
        https_proxy="http://user:pa ss'@proxy.example",
        GOPROXY="https://go.example",
        SSL_CERT_FILE=str(authority),
        GOROOT="/opt/go",
        SECRET="of this machine",
    )
    root = builder.folder / "seen"
    said = subprocess.run(
        [
            "bash",
            "-c",
            f"source <(grep ^declare {root}/root/run);"
            'printf "%s\\n" "$https_proxy" "$GOPROXY" "$GOROOT" "$SECRET"',
        ],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.splitlines() == ["http://user:pa ss'@proxy.example", "https://go.example", "", ""]
    assert "SECRET" not in (builder.folder / "environment").read_text("utf-8")
    assert "pa ss" not in builder.calls_file.read_text("utf-8"), "others read command lines"
    assert (root / str(authority).lstrip("/")).read_text("utf-8") == "an authority\n"
    assert (root / "root" / ".config" / "pip" / "pip.conf").read_text("utf-8") == "[global]\ntimeout = 9\n"
    assert (root / "etc" / "resolv.conf").read_bytes() == Path("/etc/resolv.conf").read_bytes()
    settings = (root / "etc" / "apt" / "apt.conf.d" / "99mmdebstrap").read_text("utf-8")
    assert settings == 'Acquire::http::Proxy "http://proxy.example";\n'
    sources = [
        "deb https://mirror.example/debian/ trixie main",
        "deb https://mirror.example/security/ trixie-security main",
    ]
    assert (root / "etc" / "apt" / "sources.list").read_text("utf-8").splitlines() == sources
    assert " ".join(sources) in (builder.folder / "made").read_text("utf-8")


def test_the_mirrors_of_ubuntu_have_no_debian(builder: Builder) -> None:
    builder.system("ubuntu", "noble")
    builder.program("apt-get", "echo 'http://mirror.example/ubuntu/ noble main'")
    builder.fresh()
    assert not (builder.folder / "seen" / "etc" / "apt" / "sources.list").exists()
    assert "mirror.example" not in (builder.folder / "made").read_text("utf-8")


def test_the_programs_of_the_cache_are_shared_when_asked(builder: Builder) -> None:
    shared = f"--bind {builder.cache}/binaries /root/.cache/prosecours/binaries "
    builder.fresh()
    assert shared not in builder.calls("bwrap")[-1]
    builder.fresh(CACHE="1")
    assert shared in builder.calls("bwrap")[-1]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_an_interrupted_run(builder: Builder, how: signal.Signals) -> None:
    builder.root(f"touch {builder.folder}/runs; exec sleep 60")
    with builder.start("fresh", **builder.environment({})) as process:
        deadline = time.monotonic() + 60
        while not (builder.folder / "runs").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(how)
        process.communicate(timeout=30)
    assert process.returncode == 128 + how
    assert builder.left == ["bookworm-minbase-git-make.tar"]


def test_what_a_killed_run_left_goes_and_what_another_uses_stays(builder: Builder) -> None:
    for name in ("run.killed", "run.used"):
        (builder.cache / "debian" / name / "etc").mkdir(parents=True)
    used = builder.cache / "debian" / "run.used"
    with subprocess.Popen(["flock", used, "sh", "-c", "echo; read -r _"], stdin=-1, stdout=-1) as other:
        assert other.stdout
        other.stdout.readline()
        builder.fresh()
        assert builder.left == ["bookworm-minbase-git-make.tar", "run.used"]
        other.communicate(b"\n")
    builder.fresh()
    assert builder.left == ["bookworm-minbase-git-make.tar"]


def test_a_root_that_cannot_be_made_is_told_with_its_reason(builder: Builder) -> None:
    builder.program("mmdebstrap", "echo 'E: no such suite'; exit 25")
    code, text = builder.fresh(SUITE="bookwurm")
    assert code == 1
    assert text == (
        "Making a bare Debian bookwurm (about a minute, once)\nE: no such suite\n"
        "mmdebstrap could not make a Debian bookwurm: its reason is above, its whole output in "
        f"{builder.cache}/debian/bookwurm-minbase-git-make.tar.log.\n"
    )


def test_where_it_cannot_work_it_says_so(builder: Builder) -> None:
    assert builder.fresh(SUITE="../x") == (
        1,
        "SUITE=../x is not the name of a Debian: write bookworm or trixie.\n",
    )
    builder.root("", cannot_mount=1)
    code, text = builder.fresh()
    assert code == 1
    assert text.splitlines()[-1].startswith("Not even root may mount here")
    builder.program("id", "echo 1000")
    assert builder.fresh() == (
        1,
        "A bare Debian is made by root and sudo is not installed: run make fresh as root.\n",
    )
    (builder.programs / "dpkg-query").unlink()
    assert builder.fresh() == (
        1,
        "This is not Debian or Ubuntu, which a bare Debian is made on: run make fresh on one of them.\n",
    )
    assert builder.left == []
