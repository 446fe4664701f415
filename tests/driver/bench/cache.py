"""Built things, kept outside the tree under a hash of what they were made from."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KEEP = 2  # entries of one name that stay: two work trees in turn must not evict each other
GRACE = 24 * 3600  # an entry used this recently may still be open


def digest(*parts: str) -> str:
    """A short name for these inputs."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def default_root() -> Path:
    """$HOTCOPY_CACHE, else hotcopy/ in the user's cache directory."""
    chosen = os.environ.get("HOTCOPY_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "hotcopy"


@dataclass(frozen=True)
class Cache:
    """A directory of entries: KIND/NAME-HASH, each complete or absent."""

    root: Path

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock of this name against every other process that uses this cache."""
        directory = self.root / "locks"
        directory.mkdir(parents=True, exist_ok=True)
        with open(directory / name, "w", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A directory on the cache's file system, removed at the end."""
        parent = self.root / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=parent))
        path.chmod(0o755)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def find(self, kind: str, name: str, key: str) -> Path | None:
        """The entry, when it is there; finding it counts as use."""
        path = self.root / kind / f"{name}-{key}"
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def entry(self, kind: str, name: str, key: str, build: Callable[[Path], None]) -> Path:
        """The entry, made by build(directory) when it is missing."""
        found = self.find(kind, name, key)
        if found:
            return found
        with self.lock(f"{kind}-{name}-{key}"):
            found = self.find(kind, name, key)  # another run may have built it meanwhile
            if found:
                return found
            path = self.root / kind / f"{name}-{key}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with self.scratch(f"{kind}-{name}") as scratch:
                work = scratch / "entry"
                work.mkdir()
                build(work)
                os.utime(work)
                work.rename(path)
        self.prune(kind, name)
        return path

    def prune(self, kind: str, name: str) -> None:
        """Remove the entries of this name that newer ones have replaced."""
        found = [
            path
            for path in (self.root / kind).glob(f"{name}-*")
            if path.name[len(name) + 1 :].isalnum()  # "6.12" must not match "6.12-rt-HASH"
        ]
        found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in found[KEEP:]:
            if path.stat().st_mtime < time.time() - GRACE:
                shutil.rmtree(path, ignore_errors=True)
