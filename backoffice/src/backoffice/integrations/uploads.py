"""Files people send us: streamed to disk, named by what they contain."""

from __future__ import annotations

import codecs
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

_BLOCK = 256 * 1024


class UploadTooLarge(Exception):
    """More bytes than allowed; nothing was kept."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the file is larger than {limit} bytes")
        self.limit = limit


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A kept file and what one pass over it told."""

    path: Path
    sha256: str
    size: int
    lines: int
    is_utf8: bool


def store(stream: BinaryIO, folder: Path, *, max_bytes: int) -> StoredFile:
    """Copies `stream` into `folder` under the hash of its content; the same content is kept once.

    Reads in blocks, so memory stays small. Raises UploadTooLarge.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    size = lines = 0
    is_utf8, last = True, b"\n"
    with NamedTemporaryFile(dir=folder, prefix=".upload-", delete=False) as draft:
        try:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > max_bytes:
                    raise UploadTooLarge(max_bytes)
                draft.write(block)
                digest.update(block)
                lines += block.count(b"\n")
                last = block[-1:]
                is_utf8 = is_utf8 and _decodes(decoder, block)
            is_utf8 = is_utf8 and _decodes(decoder, b"", final=True)
            draft.flush()
            # The import is promised once its row is committed; its file has to outlive a crash too.
            os.fsync(draft.fileno())
            path = folder / digest.hexdigest()
            Path(draft.name).replace(path)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
    return StoredFile(
        path=path,
        sha256=digest.hexdigest(),
        size=size,
        lines=lines + (last != b"\n"),
        is_utf8=is_utf8,
    )


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True
