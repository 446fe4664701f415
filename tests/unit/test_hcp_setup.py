# SPDX-License-Identifier: GPL-2.0-or-later
"""hcp-setup on made-up machines: a root directory of its own, and programs that do as told. The real build: tests/driver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hotcopy import __version__, headers, setup

RELEASE = "6.1.0-99-amd64"
DEBIAN = 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'


@dataclass(frozen=True)
class Machine:
    """A root directory, and the programs that are found before the real ones."""

    root: Path
    programs: Path

    def host(self, checkout: Path | None = None) -> setup.Host:
        return setup.Host(self.root, RELEASE, checkout)

    def file(self, path: str, text: str = "") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="ascii")
        return target

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.root}/calls"\n{script}\n', encoding="ascii")
        path.chmod(0o755)

    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text(encoding="ascii").splitlines() if path.exists() else []

    def headers(self) -> None:
        self.file(f"lib/modules/{RELEASE}/build/Makefile")

    def source(self, name: str) -> Path:
        return self.file(f"usr/src/{name}-{__version__}/Makefile").parent


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Machine]:
    root, programs = tmp_path / "root", tmp_path / "bin"
    programs.mkdir()
    made = Machine(root, programs)
    made.file("etc/os-release", DEBIAN)
    made.program("modprobe", f'mkdir -p "{root}/sys/module/hcpdriver"')
    made.program("depmod", "")
    made.program("gcc", "")
    made.program("make", 'echo compiled >"$2/hcpdriver.ko"')
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    yield made
    capfd.readouterr()


def get(machine: Machine, *words: str, checkout: Path | None = None) -> int:
    return setup.main(["--get-module", *words], machine.host(checkout))


def test_loaded_already(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    machine.file("sys/module/hcpdriver/version", __version__)
    assert get(machine) == 0
    assert "loaded already" in capfd.readouterr().out
    assert machine.calls() == []


@pytest.mark.parametrize("place", ["updates/dkms/hcpdriver.ko.xz", "extra/hcpdriver.ko", "weak-updates/x/hcpdriver.ko"])
def test_installed_already(machine: Machine, place: str, capfd: pytest.CaptureFixture[str]) -> None:
    machine.file(f"lib/modules/{RELEASE}/{place}")
    assert get(machine) == 0
    assert "installed already" in capfd.readouterr().out
    assert machine.calls() == ["modprobe hcpdriver"]


def test_no_binary_builds_although_one_is_installed(machine: Machine) -> None:
    machine.file(f"lib/modules/{RELEASE}/extra/hcpdriver.ko")
    machine.headers()
    machine.source("hotcopy")
    assert get(machine, "--no-binary") == 0
    assert [call.split()[0] for call in machine.calls()] == ["make", "depmod", "modprobe"]


def test_make_leaves_the_source_alone(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    machine.headers()
    source = machine.source("hcpdriver")
    assert get(machine) == 0
    assert [path.name for path in source.iterdir()] == ["Makefile"]
    module = machine.root / f"lib/modules/{RELEASE}/updates/hcpdriver.ko"
    assert module.read_text(encoding="ascii") == "compiled\n"
    assert [path.name for path in module.parent.iterdir()] == [module.name]
    assert f"depmod -b {machine.root} {RELEASE}" in machine.calls()
    assert f"loaded for kernel {RELEASE}" in capfd.readouterr().out


def test_checkout_is_a_source_too(machine: Machine, tmp_path: Path) -> None:
    machine.headers()
    (tmp_path / "kmod").mkdir()
    assert get(machine, checkout=tmp_path / "kmod") == 0


def test_dkms_when_it_is_there(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12's must not know of a make above: it takes what make says of directories for the compiler's name."""
    source = machine.source("hotcopy")
    (source / "dkms.conf").touch()
    monkeypatch.setenv("MAKELEVEL", "1")
    machine.program("dkms", '[ -z "${MAKELEVEL-}" ] || exit 10')
    assert get(machine) == 0
    words = f"dkms install --force -m hotcopy -v {__version__} -k {RELEASE}"
    assert machine.calls() == [words, "modprobe hcpdriver"]


@pytest.mark.parametrize(("status", "part"), [(21, f"linux-headers-{RELEASE}"), (10, "build/make.log")])
def test_dkms_fails(machine: Machine, status: int, part: str, capfd: pytest.CaptureFixture[str]) -> None:
    (machine.source("hotcopy") / "dkms.conf").touch()
    machine.program("dkms", f"exit {status}")
    assert get(machine) == 1
    assert part in capfd.readouterr().err
    assert not [call for call in machine.calls() if call.startswith("modprobe")]


def test_no_source(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    machine.headers()
    assert get(machine) == 1
    assert f"usr/src/hotcopy-{__version__}" in capfd.readouterr().err


def test_no_headers(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    machine.source("hotcopy")
    assert get(machine, "--silent") == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"hcp-setup: error: the headers of kernel {RELEASE} are missing")
    assert said.err.endswith(f"; apt-get install linux-headers-{RELEASE}\n")


def test_does_not_compile(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    machine.headers()
    machine.source("hotcopy")
    machine.program("make", "echo map.c: error: no such thing >&2; exit 2")
    assert get(machine) == 1
    assert "map.c: error: no such thing" in capfd.readouterr().err
    assert not (machine.root / f"lib/modules/{RELEASE}/updates").exists()


@pytest.mark.parametrize(
    ("script", "part"),
    [
        ("echo 'could not insert: Key was rejected by service' >&2; exit 1", "mokutil"),
        ("echo 'could not insert: Exec format error' >&2; exit 1", "dmesg"),
        ("", "does not load"),  # it says that it worked, and it did not
    ],
)
def test_does_not_load(machine: Machine, script: str, part: str, capfd: pytest.CaptureFixture[str]) -> None:
    machine.file(f"lib/modules/{RELEASE}/extra/hcpdriver.ko")
    machine.program("modprobe", script)
    assert get(machine) == 1
    assert part in capfd.readouterr().err


def test_silent_says_nothing(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    machine.headers()
    machine.source("hotcopy")
    assert get(machine, "--silent") == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("words", [[], ["--silent"], ["--get-module", "x"], ["--nosuch"]])
def test_usage(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert setup.main(words) == 2
    assert capfd.readouterr().err.startswith("hcp-setup: error: ")


@pytest.mark.parametrize(
    ("text", "release", "command"),
    [
        (DEBIAN, RELEASE, f"apt-get install linux-headers-{RELEASE}"),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'", "6.8.0-31-generic", "apt-get install linux-headers-6.8.0-31-generic"),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"', "5.14.0-427.el9.x86_64", "kernel-devel-5.14.0-427.el9.x86_64"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "6.4.0-150600.21-default", "kernel-default-devel"),
        ("ID=arch", "6.9.1-arch1-1", "pacman -S linux-headers"),
        ("ID=unheard-of", "6.9", "kernel 6.9"),
    ],
)
def test_headers_package(tmp_path: Path, text: str, release: str, command: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(text, encoding="ascii")
    assert headers.install_command(headers.os_release(tmp_path), release).endswith(command)


def test_headers_package_of_nobody(tmp_path: Path) -> None:
    assert headers.os_release(tmp_path) == {}
    assert "6.9" in headers.install_command({}, "6.9")
