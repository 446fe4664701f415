# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages with the compiled driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotcopy import __version__
from installer import cli
from installer.exitcodes import ExitCode
from tests.driver.bench.bench import Bench
from tests.driver.bench.run import run
from tests.packages.conftest import rpmlint
from tests.packages.prebuilt import SIGNER, build_modules, make_certificate

KERNEL = "6.1"


def contents(package: Path, place: Path) -> list[Path]:
    """The modules in a package."""
    place.mkdir()
    if package.suffix == ".deb":
        run(["dpkg-deb", "--extract", package, place])
    else:
        run(["sh", "-c", f"rpm2cpio {package} | cpio --quiet -idm"], cwd=place)
    return sorted(place.rglob("*.ko"))


def test_signed_for_one_kernel_and_the_same_twice(bench: Bench, tmp_path: Path) -> None:
    key, certificate = make_certificate(tmp_path)
    signed = ("--sign-key", key, "--sign-cert", certificate)
    release = build_modules(bench, KERNEL, tmp_path / "one", tmp_path, *signed)
    package = tmp_path / f"one/deb/hotcopy-modules-{release}_{__version__}-1_amd64.deb"
    (module,) = contents(package, tmp_path / "files")
    assert (
        module.relative_to(tmp_path / "files")
        .as_posix()
        .endswith(f"lib/modules/{release}/updates/hotcopy/hcpdriver.ko")
    )

    def tell(field: str) -> str:
        return run(["/usr/sbin/modinfo", "-F", field, module]).stdout.strip()

    assert tell("vermagic").split()[0] == release and tell("version") == __version__
    assert tell("signer") == SIGNER and tell("sig_hashalgo") == "sha256"
    assert b"hotcopy-module-" not in module.read_bytes() and module.stat().st_size < 1 << 20
    control = run(["dpkg-deb", "--field", package, "Provides", "Conflicts", "Depends"]).stdout
    assert f"hotcopy-modules (= {__version__}-1)" in control and "hotcopy-dkms" in control
    assert f"linux-image-{release}" in control
    done = run(["lintian", "--allow-root", "--fail-on", "error,warning", package], check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout

    build_modules(bench, KERNEL, tmp_path / "two", tmp_path, *signed)
    assert (tmp_path / f"two/deb/{package.name}").read_bytes() == package.read_bytes()

    build_modules(bench, KERNEL, tmp_path / "three", tmp_path, "--target", "el9", *signed)
    (packed,) = (tmp_path / "three/rpm/el9").glob("*.rpm")
    (same,) = contents(packed, tmp_path / "rpm-files")
    assert same.read_bytes() == module.read_bytes()
    needs = run(["rpm", "-qp", "--nosignature", "--requires", "--provides", "--conflicts", packed]).stdout
    # A release of Debian's is no version of RPM's; el9-modules.spec among the golden files has one of EL.
    assert "kernel-uname-r" not in needs and f"hotcopy-modules = {__version__}" in needs
    rpmlint(packed)


def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["build-modules", "--kernel", "1.2.3", "--headers", str(tmp_path), str(tmp_path / "out")]
    assert cli.main(words) == ExitCode.NO_HEADERS
    assert "the headers of kernel 1.2.3 are missing" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("PATH", "/nowhere")
    assert cli.main(words) == ExitCode.FAILED
    assert "apt-get install binutils gcc kmod make" in capfd.readouterr().err
