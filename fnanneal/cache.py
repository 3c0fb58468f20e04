"""The cache folder: files that save time and can go at any moment.

An entry is one file: a keyed BLAKE2b digest of 32 bytes, then the payload. The digest is keyed by the writer's *stamp* (a format version and
whatever the payload depends on), so that a truncated, damaged or outdated file is not told from a missing one.
Entries are written beside their place and moved there, so that processes never see half of one.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

SUFFIX = ".fncache"
_DIGEST = 32


def cache_dir() -> Path:
    """``$FNANNEAL_CACHE``, or the platform's cache folder for fnanneal. It need not exist."""
    chosen = os.environ.get("FNANNEAL_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("fnanneal")


def _digest(stamp: str, payload: bytes | memoryview) -> bytes:
    key = hashlib.sha256(stamp.encode()).digest()
    return hashlib.blake2b(payload, key=key, digest_size=_DIGEST).digest()


def read(folder: str, name: str, stamp: str) -> memoryview | None:
    """An entry's payload, or None where there is none that is whole and carries this stamp.

    Parameters
    ----------
    folder, name
        Where: ``cache_dir() / folder / (name + SUFFIX)``.
    stamp
        What it was written with.
    """
    try:
        content = memoryview((cache_dir() / folder / (name + SUFFIX)).read_bytes())
    except (OSError, RuntimeError):  # expanduser raises RuntimeError where there is no home
        return None
    payload = content[_DIGEST:]
    return payload if content[:_DIGEST] == _digest(stamp, payload) else None


def write(folder: str, name: str, stamp: str, payload: bytes) -> bool:
    """Store an entry; False, and nothing else, where the folder cannot be written.

    Parameters
    ----------
    folder, name, stamp
        As for `read`.
    payload
        The bytes.
    """
    temporary = ""
    try:
        place = cache_dir() / folder
        place.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(suffix=SUFFIX, prefix="tmp-", dir=place)
        with os.fdopen(handle, "wb") as f:
            f.write(_digest(stamp, payload))
            f.write(payload)
        os.replace(temporary, place / (name + SUFFIX))
    except (OSError, RuntimeError):
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        return False
    return True


def clear() -> int:
    """Remove every entry, and the folders that this leaves empty. Files of any other name stay.

    Returns
    -------
    int
        Bytes freed.

    Raises
    ------
    OSError
        Where an entry cannot be removed.
    """
    freed = 0
    for entry in sorted(cache_dir().glob(f"*/*{SUFFIX}")):
        if entry.is_symlink() or not entry.is_file():
            continue
        size = entry.stat().st_size
        entry.unlink(missing_ok=True)
        freed += size
        with suppress(OSError):
            entry.parent.rmdir()
    return freed
