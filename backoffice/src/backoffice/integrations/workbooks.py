"""Excel workbooks, read by calamine; bombs are found before anything is unpacked into memory."""

from __future__ import annotations

import re
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

#: A workbook of a million products unpacks to about 300 MB and shrinks eightfold when packed.
_MOST_UNPACKED = 512 * 1024 * 1024
_MOST_RATIO = 200
_RATIO_MATTERS_ABOVE = 16 * 1024 * 1024
_MOST_MEMBERS = 2_000
#: What the reader may hold: every cell of the rectangle from the first to the last one used, and
#: a text once for each cell that refers to it.
_MEMORY = 768 * 1024 * 1024
_CELL = 32
#: Up to these a workbook is opened where it is uploaded, to say how many rows it has.
_LOOK_BELOW = 4 * 1024 * 1024
_LOOK_MEMORY = 64 * 1024 * 1024
_BLOCK = 256 * 1024

_SHARED_TEXT = re.compile(rb"<(?:\w+:)?si\b[^>]*>(.*?)</(?:\w+:)?si\s*>", re.DOTALL)
_CELL_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]{1,3})(\d{1,7})["']""")
_CELL_SHARED = re.compile(rb"""\bt\s*=\s*["']s["']""")
_SHARED_CELL = re.compile(
    rb"""\bt\s*=\s*["']s["'][^>]*>\s*<(?:\w+:)?v[^>]*>\s*(\d{1,9})\s*<""",
)


class BrokenWorkbook(Exception):
    """Not a workbook, or a damaged one."""


class WorkbookTooLarge(Exception):
    """Unpacks to more than this process is willing to hold."""


def look(path: Path) -> tuple[tuple[str, ...], int] | None:
    """Header and number of data rows; None where finding out would take long.

    Raises BrokenWorkbook and WorkbookTooLarge.
    """
    if _declared_size(path) > _LOOK_BELOW:
        return None
    try:
        book = Workbook(path, memory=_LOOK_MEMORY)
    except WorkbookTooLarge:
        return None
    rows = [cells for _, cells in book.rows() if any(map(str.strip, cells))]
    return (tuple(rows[0]) if rows else ()), max(0, len(rows) - 1)


class Workbook:
    """The first sheet of a workbook, held in memory: that is how the format is made."""

    def __init__(self, path: Path, *, memory: int = _MEMORY) -> None:
        _declared_size(path)
        _check_unpacked(path, memory)
        with _reading():
            book = CalamineWorkbook.from_path(str(path))
            self._sheet: CalamineSheet = book.get_sheet_by_index(0)
        start = self._sheet.start
        self._first = start[0] + 1 if start else 1

    @property
    def height(self) -> int:
        return self._sheet.height

    def rows(self, *, after: int = 0) -> Iterator[tuple[int, list[str]]]:
        """Rows as texts with their numbers as Excel shows them, those up to `after` left out."""
        with _reading():
            for number, values in enumerate(self._sheet.iter_rows(), start=self._first):
                if number > after:
                    yield number, [as_text(value) for value in values]


def as_text(value: object) -> str:
    """A cell as its owner sees it. Excel keeps every number as a float: 19999.0 was 19999."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 1e18
        return str(int(value)) if whole else f"{value:.15g}"  # Excel's own: 0.1 + 0.2 is 0.3
    return str(value)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (CalamineError, zipfile.BadZipFile, OSError, ValueError, zlib.error) as error:
        raise BrokenWorkbook(str(error)) from None
    except BaseException as error:
        # A panic of the reader's Rust is no Exception; it is one bad file all the same.
        if type(error).__name__ == "PanicException":
            raise BrokenWorkbook("the reader gave up") from None
        raise


def _declared_size(path: Path) -> int:
    """Bytes the members say they unpack to. Raises for what is too much or no workbook."""
    with _reading(), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    names = {member.filename for member in members}
    if not {"xl/workbook.xml", "[Content_Types].xml"} <= names:
        raise BrokenWorkbook("no workbook inside")
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members) or 1
    if (
        len(members) > _MOST_MEMBERS
        or unpacked > _MOST_UNPACKED
        or (unpacked > _RATIO_MATTERS_ABOVE and unpacked / packed > _MOST_RATIO)
    ):
        raise WorkbookTooLarge(f"{unpacked} bytes in {len(members)} members")
    return unpacked


def _check_unpacked(path: Path, memory: int) -> None:
    """Unpacks in blocks, keeping nothing, to see that the members told the truth and that what
    the reader will make of them fits into `memory`."""
    lengths: list[int] = []
    references = largest = 0
    sheets: list[zipfile.ZipInfo] = []
    with _reading(), zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise BrokenWorkbook("packed in a way that Excel does not")
            if member.filename.lower() == "xl/sharedstrings.xml":
                lengths = [len(found) for found in _SHARED_TEXT.findall(_all(archive, member))]
            elif member.filename.startswith("xl/worksheets/"):
                sheets.append(member)
                cells, shared = _measure(_blocks(archive, member))
                largest, references = max(largest, cells), references + shared
            else:
                for _ in _blocks(archive, member):
                    pass
        held = largest * _CELL + sum(lengths)
        if held > memory:
            raise WorkbookTooLarge(f"{largest} cells")
        if held + max(lengths, default=0) * references <= memory:
            return
        # The quick bound was passed; count exactly before refusing an honest file.
        sizes = array("Q", lengths)
        for sheet in sheets:
            texts = sum(
                sizes[int(index)]
                for index in _SHARED_CELL.findall(_all(archive, sheet))
                if int(index) < len(sizes)
            )
            if held + texts > memory:
                raise WorkbookTooLarge(f"{texts} bytes of text in {sheet.filename}")


def _measure(blocks: Iterator[bytes]) -> tuple[int, int]:
    """Cells of the rectangle a sheet spans, and how many of them refer to a shared text.

    Two cells in opposite corners make a sheet of 17 billion: the reader holds them all.
    """
    row = column = shared = 0
    tail = b""
    for block in blocks:
        places = _CELL_PLACE.findall(tail + block)
        row = max(row, max(map(int, {number for _, number in places}), default=0))
        column = max(column, max(map(_column, {letters for letters, _ in places}), default=0))
        shared += len(_CELL_SHARED.findall(block))
        tail = block[-32:]
    return row * column, shared


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _all(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    return b"".join(_blocks(archive, member))


def _blocks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The member's content; WorkbookTooLarge where it is longer than it said.

    zipfile itself stops at the size a member declares; other readers do not.
    """
    archive_file = archive.fp
    if archive_file is None:
        raise BrokenWorkbook("closed")
    archive_file.seek(member.header_offset + 26)
    lengths = archive_file.read(4)
    archive_file.seek(
        int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little"), 1
    )
    left, told = member.compress_size, 0
    inflate = None if member.compress_type == zipfile.ZIP_STORED else zlib.decompressobj(-15)
    while left > 0:
        packed = archive_file.read(min(_BLOCK, left))
        if not packed:
            raise BrokenWorkbook("cut short")
        left -= len(packed)
        while packed:
            block = packed if inflate is None else inflate.decompress(packed, 4 * _BLOCK)
            packed = b"" if inflate is None else inflate.unconsumed_tail
            told += len(block)
            if told > member.file_size:
                raise WorkbookTooLarge(f"{member.filename} is longer than it says")
            yield block
