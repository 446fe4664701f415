"""Rows, stages, and what came of each: the data of the matrix. Nothing here runs or prints."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Stage(Enum):
    """How far a row goes, in this order."""

    DETECT = "detect"
    RENDER = "render"
    BUILD = "build"
    INSTALL = "install"
    LOAD = "load"
    SNAPSHOT = "snapshot"
    REBOOT = "reboot"
    UNINSTALL = "uninstall"


class Outcome(Enum):
    """What came of a stage; only what ran, and went well, passed."""

    PASSED = "passed"
    FAILED = "failed"
    KNOWN = "known"  # failed, as known_failures.yaml says
    UNEXPECTED = "unexpected"  # passed, though known_failures.yaml says that it fails
    NOT_RUN = "not run"


DRIVER = (Stage.DETECT, Stage.BUILD, Stage.LOAD, Stage.SNAPSHOT)  # stages without our packages
BAD = (Outcome.FAILED, Outcome.UNEXPECTED)


@dataclass(frozen=True)
class Row:
    """A kernel of a distribution."""

    distro: str  # the key in matrix.yaml
    title: str
    kernel: str  # its series, with a flavour: "6.1-rt", "6.1-oldest"; "current" where it follows upstream
    guest: str  # the bench's name of the kernel; empty: no guest of it can be made here
    reason: str = ""  # why not
    packages: str = ""  # what is built for it here: "deb", or a target of RPM; empty: nothing
    kernel_of: str = (
        ""  # a row with the same kernel and userland, whose stages of the driver alone tell for this one, too
    )

    def obstacle(self, stage: Stage) -> str:
        """Why a stage cannot run here; empty if it can."""
        if stage is Stage.RENDER:
            return "" if self.packages else self.reason or "no package of ours is made for it"
        if self.guest and self.kernel_of and stage in DRIVER:
            return f"kernel and userland are those of {self.kernel_of}, whose row has it"
        return "" if self.guest else self.reason

    @property
    def name(self) -> str:
        """What --row calls it."""
        return f"{self.distro}/{self.kernel}"


@dataclass(frozen=True)
class Cell:
    """What came of a stage of a row."""

    row: str
    stage: Stage
    outcome: Outcome
    seconds: float = 0.0
    reason: str = ""  # one line; empty only where it passed
    log: str = ""
    package: str = ""  # the kernel package it ran with
