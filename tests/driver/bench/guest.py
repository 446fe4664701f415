"""A booted guest that takes commands: with Guest(...) as guest: guest.run("uname -r")."""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from tests.driver.bench.bench import TREE, Bench
from tests.driver.bench.kernels import by_name
from tests.driver.bench.machine import Disk, Machine
from tests.driver.bench.progress import say
from tests.driver.guest.kernel_log import bad_lines

PROJECT = (
    "hotcopy",
    "packaging",
    "tests/__init__.py",
    "tests/driver/__init__.py",
    "tests/driver/guest",
    "tests/demo",
    "tests/benchmark",
    "tests/proof/__init__.py",
    "tests/proof/guest",
)
BOOT_TIMEOUT = 120.0

Event = dict[str, Any]


class GuestError(AssertionError):
    """The guest died, hung, or said something unexpected; the message has the console's tail."""


@dataclass(frozen=True)
class Completed:
    """How a command in the guest ended."""

    status: int
    output: str


class Shown(StringIO):
    """What a program says, kept; each line is shown with the time since the start."""

    def write(self, text: str) -> int:
        """Adds text, which ends with a line's end but for the last one."""
        for line in text.splitlines():
            say(f"  | {line}")
        return super().write(text)


def project_tar(target: Path, module: Path | None, files: Mapping[str, str]) -> None:
    """The project as the guest sees it at /hotcopy, in a file that serves as a disk."""

    def wanted(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if "__pycache__" in info.name:
            return None
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        return info

    with tarfile.open(target, "w") as tar:
        for name in PROJECT:
            if (TREE / name).exists():
                tar.add(TREE / name, name, filter=wanted)
        if module:
            tar.add(module, "hcpdriver.ko", filter=wanted)
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            data = text.encode()
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, BytesIO(data))


@dataclass
class Guest:
    """One boot of one kernel. Leaving the with block powers it off, or kills it after an error."""

    bench: Bench
    kernel: str
    machine: Machine = field(default_factory=Machine)
    module: Path | None = None  # the driver to carry along; the bench's own if not given
    driver: bool = True  # whether one is carried along at all
    files: Mapping[str, str] = field(default_factory=dict)  # more files for /hotcopy
    allow: tuple[str, ...] = ()  # patterns of console lines that are no fault
    check: bool = True  # whether the console's log is checked at the end
    ready: Event = field(default_factory=dict, init=False)  # what the agent said at its start
    boot_seconds: float = field(default=0.0, init=False)

    def __enter__(self) -> Guest:
        self._stack = self.bench.cache.scratch(f"guest-{self.kernel}")
        self.scratch = self._stack.__enter__()
        try:
            self._start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self.running:
                self.poweroff()
            self.kill()
            if kind is None and self.check:
                self.check_console()
        finally:
            self._close()

    def _start(self) -> None:
        begin = time.monotonic()
        prepared = self.bench.prepare(self.kernel)
        row = prepared.found.kernel
        boot = self.machine.boot or prepared.boot
        module = (self.module or self.bench.module(self.kernel)) if self.driver else None
        project = self.scratch / "project.tar"
        project_tar(project, module, self.files)
        self.console = self.scratch / "console"
        root = self.machine.root
        ours, theirs = socket.socketpair()
        self._socket = ours
        argv = [
            # The guest must not outlive a killed test run.
            *("setpriv", "--pdeathsig", "KILL"),
            *self.machine.arguments(self.bench.accelerator(row), boot, row.words, row.architecture),
            *Disk("root").arguments(root or self.machine.userland or prepared.userland, shared=root is None),
            *Disk("modules", read_only=True).arguments(boot.modules),
            *Disk("project", read_only=True).arguments(project),
        ]
        for disk in self.machine.disks:
            argv += disk.arguments(self._image(disk))
        argv += ["-chardev", f"file,id=console,path={self.console}", *row.architecture.console_port]
        argv += ["-chardev", f"socket,id=results,fd={theirs.fileno()}", *row.architecture.results_port]
        self._errors = self.scratch / "qemu"
        begin = time.monotonic()
        with open(self._errors, "wb") as errors:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                pass_fds=[theirs.fileno()],
                env={"PATH": "/usr/bin:/bin", "TMPDIR": str(self.scratch)},
            )
        theirs.close()
        self.bench.running.add(self._process)
        self._events: queue.Queue[Event] = queue.Queue()
        self._marks: list[str] = []
        self._number = 0
        threading.Thread(target=self._read, daemon=True).start()
        self.ready = self.wait_event({"ready"}, BOOT_TIMEOUT * row.slow)
        self.boot_seconds = time.monotonic() - begin

    def _image(self, disk: Disk) -> Path:
        image = disk.path or self.scratch / f"{disk.name}.raw"
        if not image.exists():
            # By no program: this runs in threads, and tests beside them change what PATH is.
            with open(image, "wb") as file:
                file.truncate(disk.size_bytes)
        return image

    def _read(self) -> None:
        """Turn what comes over the results port into events, until the guest is gone."""
        with self._socket.makefile("rb") as lines:
            try:
                for line in lines:
                    try:
                        self._events.put(json.loads(line))
                    except ValueError:
                        self._events.put({"event": "garbled", "line": line.decode(errors="replace")})
            except OSError:
                pass
        self._events.put({"event": "gone"})

    def _close(self) -> None:
        if hasattr(self, "_process"):
            self.kill()
            self.bench.running.discard(self._process)
            self._socket.close()
            kept = self.bench.keep_logs
            if kept:
                kept.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.console, kept / f"{self.scratch.name}.console")
        self._stack.__exit__(None, None, None)

    @property
    def running(self) -> bool:
        """Whether QEMU is still there."""
        return self._process.poll() is None

    def cpu_seconds(self) -> float:
        """What the guest has cost so far of the host's processors; 0 when it is gone."""
        try:
            words = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def console_tail(self, lines: int = 200) -> str:
        """The end of the kernel's log, and of what QEMU complained about."""
        texts = [path.read_text(errors="replace") for path in (self.console, self._errors) if path.exists()]
        return "\n".join("".join(texts).splitlines()[-lines:])

    def error(self, message: str) -> GuestError:
        """The exception for this guest's trouble."""
        return GuestError(f"kernel {self.kernel}: {message}\n--- console ---\n{self.console_tail()}")

    def check_console(self) -> None:
        """Fail when the kernel complained on the console."""
        bad = list(bad_lines(self._messages(), self.allow))
        if bad:
            raise self.error("the kernel logged:\n" + "\n".join(bad))

    def _messages(self) -> Iterable[str]:
        for line in self.console.read_text(errors="replace").splitlines():
            stamp, bracket, text = line.partition("] ")
            yield text if bracket and stamp.startswith("[") else line

    def next_event(self, timeout: float) -> Event:
        """The guest's next line; its silence or death is an error."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            raise self.error(f"no word for {timeout:.0f} s") from None
        if event["event"] == "gone":
            self._process.wait(10)
            raise self.error("the guest stopped before its end token")
        if event["event"] == "garbled":
            raise self.error(f"not a result: {event['line']!r}")
        return event

    def wait_event(self, names: set[str], timeout: float) -> Event:
        """The next event of one of these names; others are passed over."""
        deadline = time.monotonic() + timeout
        while True:
            event = self.next_event(max(0.1, deadline - time.monotonic()))
            if event["event"] in names:
                return event
            if event["event"] == "mark":
                self._marks.append(event["name"])  # for a wait_mark that comes later

    def wait_mark(self, name: str, timeout: float = 60) -> None:
        """Wait until something in the guest called channel.mark(name)."""
        deadline = time.monotonic() + timeout
        while name not in self._marks:
            event = self.wait_event({"mark"}, deadline - time.monotonic())
            self._marks.append(event["name"])
        self._marks.remove(name)

    def send(self, do: str, **fields: Any) -> int:
        """Give the agent a command; the answer carries the number returned."""
        self._number += 1
        line = json.dumps({"id": self._number, "do": do, **fields}) + "\n"
        # The guest's terminal buffer holds no more than this between two reads.
        if len(line) > 3500:
            raise ValueError("a command this long must go into files=")
        self._socket.sendall(line.encode())
        return self._number

    def run(self, command: str | list[str], *, timeout: float = 60, check: bool = True) -> Completed:
        """Run a program (a string goes to the shell) and wait for its end."""
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        self.send("run", argv=argv, timeout=timeout, stream=False)
        event = self.wait_event({"done"}, timeout + 20)
        if check and event["status"]:
            raise self.error(f"{command}: exit {event['status']}\n{event['output']}")
        return Completed(event["status"], event["output"])

    def ask_checkers(self) -> None:
        """Fail when a checker of the kernel has found what it does not log; Debian's kernels have none."""
        if by_name(self.kernel).source:
            said = self.run("cd /hotcopy && python3 -m tests.driver.guest.checkers", timeout=300).output
            if said:
                raise self.error(said)

    def stream(self, argv: list[str], output: TextIO, *, timeout: float = 300) -> int:
        """Run a program and pass its output on as it comes; its exit status."""
        self.send("run", argv=argv, timeout=timeout, stream=True)
        deadline = time.monotonic() + timeout + 20
        while True:
            event = self.wait_event({"output", "done"}, deadline - time.monotonic())
            output.write(event["text"] if event["event"] == "output" else event["output"])
            output.flush()
            if event["event"] == "done":
                return int(event["status"])

    def follow(self, command: str | list[str], *, timeout: float) -> Completed:
        """Run a program that takes minutes (a string goes to the shell), and show what it says as it comes."""
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        said = Shown()
        return Completed(self.stream(argv, said, timeout=timeout), said.getvalue())

    def spawn(self, command: str | list[str]) -> int:
        """Start a program that goes on by itself; its process id."""
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        self.send("spawn", argv=argv)
        return int(self.wait_event({"done"}, 30)["output"])

    def kill(self) -> None:
        """Cut the power: no warning, nothing flushed."""
        if self.running:
            self._process.kill()
        self._process.wait(30)

    def wait_off(self, timeout: float) -> None:
        """Wait until the guest has switched itself off."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.error(f"no power-off within {timeout:.0f} s") from None

    def poweroff(self) -> None:
        """Power off in order; without the end token it is a failure."""
        self.send("poweroff")
        self.wait_event({"end"}, 60)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            raise self.error("no power-off after the end token") from None
