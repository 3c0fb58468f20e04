"""Bytes in and out: paths, streams, gzip, and files that appear whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import secrets
import shutil
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from ...errors import FormatError, InputError

MAX_BYTES = 4 * 2**30
_PIECE = 1 << 24
_GZIP = b"\x1f\x8b"


def fetch(source: str | os.PathLike[str] | bytes | bytearray | memoryview | IO[Any]) -> tuple[bytes, str, str]:
    """The bytes of a path, of a stream, or as they are, unpacked where they are gzip.

    Returns
    -------
    bytes
    str
        What errors call the source.
    str
        The file's name, empty where there is none.

    Raises
    ------
    FormatError
        For a missing file, a folder, a device, one that may not be read or is too large; damaged gzip.
    InputError
        For something that is no source.
    """
    name = ""
    if isinstance(source, bytes | bytearray | memoryview):
        data, where = bytes(source), "<stdin>"
    elif isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        where = _shown(name)
        data = _from_path(name, where)
    elif hasattr(source, "read"):
        called = getattr(source, "name", None)
        where = _shown(called) if isinstance(called, str) else "<stream>"
        name = called if isinstance(called, str) and not called.startswith("<") else ""
        try:
            data = _all(source, where)
        except (OSError, UnicodeError) as e:
            raise FormatError(where, None, f"cannot be read: {_reason(e)}") from None
        except FormatError:
            raise
        except ValueError as e:
            raise FormatError(where, None, f"cannot be read: {_reason(e)}") from None
    else:
        raise InputError(f"cannot read a problem from {type(source).__name__}: expected a path, bytes or a stream")
    return (_unpack(data, where) if data.startswith(_GZIP) else data), where, name


def _shown(path: str) -> str:
    """A path on one line."""
    return path if path.isprintable() else repr(path)


def _from_path(path: str, where: str) -> bytes:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise FormatError(where, None, "is a directory")
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise FormatError(where, None, "is a device, not a file")
        with open(path, "rb") as f:
            return _all(f, where)
    except FileNotFoundError:
        raise FormatError(where, None, "no such file") from None
    except OSError as e:
        raise FormatError(where, None, f"cannot be read: {_reason(e)}") from None
    except FormatError:
        raise
    except ValueError as e:
        raise FormatError(where, None, f"is no file name: {e}") from None


def _all(stream: IO[Any] | gzip.GzipFile, where: str) -> bytes:
    """What a stream holds, piece by piece: asking for the limit at once would reserve as much memory."""
    pieces, length = [], 0
    while piece := stream.read(_PIECE):
        pieces.append(piece.encode("utf-8", "surrogateescape") if isinstance(piece, str) else piece)
        length += len(pieces[-1])
        if length > MAX_BYTES:
            raise FormatError(where, None, f"too large: more than {MAX_BYTES >> 30} GiB")
    return b"".join(pieces)


def _unpack(data: bytes, where: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as f:
            return _all(f, where)
    except EOFError:
        raise FormatError(where, None, "the gzip data is cut short") from None
    except (OSError, zlib.error) as e:
        raise FormatError(where, None, f"the gzip data is damaged: {_reason(e)}") from None


def _reason(e: Exception) -> str:
    return (e.strerror if isinstance(e, OSError) and e.strerror else str(e)).lower()


def store(pieces: Iterable[str], target: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write text to a path (packed where it ends in .gz) or a binary stream.

    A path's file appears whole or not at all, and an old one keeps its mode. The same text gives the same bytes, packed or not.

    Raises
    ------
    InputError
        Where the target cannot be written.
    """
    if not isinstance(target, str | os.PathLike):
        for piece in pieces:
            target.write(piece.encode("utf-8"))
        return
    path = os.fspath(target)
    try:
        with appearing(os.path.realpath(path)) as f:
            if path.lower().endswith(".gz"):
                with gzip.GzipFile(filename="", mode="wb", fileobj=f, mtime=0) as packed:
                    for piece in pieces:
                        packed.write(piece.encode("utf-8"))
            else:
                for piece in pieces:
                    f.write(piece.encode("utf-8"))
    except OSError as e:
        raise InputError(f"{path}: cannot be written: {_reason(e)}") from None


@contextmanager
def appearing(path: str) -> Iterator[IO[bytes]]:
    """A file that takes its name only once it is complete."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        # a pipe or a device is written to, never replaced
        with open(path, "wb") as f:
            yield f
        return
    if os.path.isdir(path):
        raise IsADirectoryError(None, "is a directory")
    folder, name = os.path.split(path)
    new = os.path.join(folder, f".{name[:64]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(new, "xb") as f:
            yield f
        if os.path.exists(path):
            shutil.copymode(path, new)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(new)
        raise


def split(path: str, known: Callable[[str], bool]) -> tuple[str, str]:
    """A file's stem and suffix; only known suffixes count, since names like g05_100.0 have dots of their own."""
    base = os.path.basename(path)
    if base.lower().endswith(".gz"):
        base = base[:-3]
    stem, suffix = os.path.splitext(base)
    return (stem, suffix) if known(suffix) else (base, "")
