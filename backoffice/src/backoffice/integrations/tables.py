"""Tables in files of other programs: CSV as spreadsheets write it, and Excel workbooks.

A table is looked at once (`inspect`), which says what it is, and read row by row afterwards
(`open_table`), from its beginning or from a place kept earlier.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

from backoffice.integrations.uploads import StoredFile
from backoffice.integrations.workbooks import BrokenWorkbook, Workbook, WorkbookTooLarge, look
from backoffice.kernel.text import N_

_HEAD = 64 * 1024
_DELIMITERS = (",", ";", "\t")
_LARGEST_CELL = 128 * 1024
#: Control characters that no text has; more than a few of them and the file is no text.
_JUNK = bytes(set(range(32)) - {9, 10, 13}) + b"\x7f"

#: What is wrong with a file, for its owner to read.
PROBLEMS = {
    "empty": N_("The file is empty. Choose a file that has a header row and products below it."),
    "not_a_table": N_("This is not a CSV or Excel file. Save the list as .xlsx or as CSV UTF-8."),
    "old_excel": N_(
        "This Excel file is in the old format or has a password. "
        "Save it as .xlsx without a password and try again."
    ),
    "utf16": N_("This text is in Unicode (UTF-16). Save the list as .xlsx or as CSV UTF-8."),
    "broken_excel": N_("The Excel file cannot be read: it is damaged or not a workbook."),
    "workbook_too_large": N_(
        "The Excel file unpacks to more than we accept. Save the list alone, as CSV UTF-8."
    ),
    "cell_too_long": N_("The header row has a cell that is too long to be the name of a column."),
    "too_many_rows": N_("The file has more than %(limit)s rows. Split it into smaller files."),
}


class UnreadableTable(Exception):
    """The file cannot be imported; `code` is one of PROBLEMS and `params` fill its text."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


@dataclass(frozen=True, kw_only=True)
class TableInfo:
    """What a file is. `rows` counts data rows: by line ends in a CSV, None where unknown.

    A large workbook says its header only when it is opened: here it is empty.
    """

    kind: str
    header: tuple[str, ...]
    rows: int | None
    encoding: str = ""
    delimiter: str = ""
    start: int = 0
    """Bytes before the header row: a byte order mark, a `sep=` line."""
    old_mac: bool = False
    """Lines end with a carriage return alone."""


@dataclass(frozen=True)
class Place:
    """How far a table was read: its last row's number as a spreadsheet shows it, and the bytes."""

    row: int = 0
    offset: int = 0


class Table(Protocol):
    """An open table: iterate for (row number, cells); blank rows are counted and left out."""

    @property
    def header(self) -> tuple[str, ...]: ...

    @property
    def rows(self) -> int | None: ...

    @property
    def place(self) -> Place: ...

    def __iter__(self) -> Iterator[tuple[int, Sequence[str] | None]]:
        """Cells are None for a row that cannot be split into cells."""


def inspect(file: StoredFile) -> TableInfo:
    """Says what `file` is. Raises UnreadableTable."""
    with file.path.open("rb") as opened:
        head = opened.read(_HEAD)
    if not head.strip():
        raise UnreadableTable("empty")
    if head.startswith(b"PK\x03\x04"):
        with _workbook_problems():
            seen = look(file.path)
        if seen is None:
            return TableInfo(kind="xlsx", header=(), rows=None)
        return TableInfo(kind="xlsx", header=_checked(seen[0]), rows=seen[1])
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableTable("old_excel")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableTable("utf16")
    if len(head.translate(None, _JUNK)) < len(head) * 0.99:
        raise UnreadableTable("not_a_table")
    return _inspect_csv(file, head)


def count_rows(file: StoredFile, info: TableInfo, *, up_to: int) -> int:
    """The exact number of data rows, counted no further than `up_to`."""
    with open_table(file.path, info) as table:
        return sum(1 for _ in islice(table, up_to))


@contextmanager
def open_table(path: Path, info: TableInfo, place: Place | None = None) -> Iterator[Table]:
    """The table behind `info`, from after `place`. Raises UnreadableTable."""
    if info.kind == "xlsx":
        with _workbook_problems():
            workbook = Workbook(path)
        yield _WorkbookRows(workbook, place or Place())
        return
    with path.open("rb") as file:
        yield _CsvRows(file, info, place)


def _inspect_csv(file: StoredFile, head: bytes) -> TableInfo:
    start = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    # cp1256 is what Arabic Windows writes. Its other half holds the letters and quotes of Western
    # Europe where cp1252 has them, so an English or French list read by it comes out right too.
    encoding = "utf-8" if file.is_utf8 else "cp1256"
    delimiter = ""
    first, _, _ = head[start:].partition(b"\n")
    if first.strip().lower().startswith(b"sep=") and len(first.strip()) == len("sep=") + 1:
        delimiter = first.strip()[-1:].decode("ascii", "replace")
        start += len(first) + 1
    old_mac = b"\r" in head and b"\n" not in head
    candidates = (delimiter,) if delimiter else _DELIMITERS
    found: tuple[str, ...] = ()
    info = TableInfo(kind="csv", header=(), rows=None)
    for each in candidates:
        info = TableInfo(
            kind="csv",
            header=(),
            rows=None,
            encoding=encoding,
            delimiter=each,
            start=start,
            old_mac=old_mac,
        )
        with file.path.open("rb") as opened:
            cells = next((row for _, row in _CsvRows(opened, info) if row is not None), ())
        if len(cells) > len(found) or not found:
            found, delimiter = tuple(cells), each
    rows = None if old_mac else max(0, file.lines - 1)
    return replace(info, header=_checked(found), rows=rows, delimiter=delimiter)


def _checked(header: Sequence[str]) -> tuple[str, ...]:
    if not header:
        raise UnreadableTable("empty")
    if any(len(cell) > 200 for cell in header):
        raise UnreadableTable("cell_too_long")
    return tuple(header)


class _CsvRows:
    """Rows of a CSV file, knowing at each the byte where the next one begins."""

    def __init__(self, file: BinaryIO, info: TableInfo, place: Place | None = None) -> None:
        self.header = info.header
        self.rows = info.rows
        self._file = file
        self._encoding = info.encoding
        self._delimiter = info.delimiter
        self._old_mac = info.old_mac
        self._row = 0
        self._offset = info.start
        if place is not None and place.offset:
            self._row, self._offset = place.row, place.offset

    @property
    def place(self) -> Place:
        return Place(self._row, self._offset)

    def __iter__(self) -> Iterator[tuple[int, Sequence[str] | None]]:
        # The limit is the process's, not the reader's; nothing else here reads CSV.
        csv.field_size_limit(_LARGEST_CELL)
        self._file.seek(self._offset)
        reader = csv.reader(self._lines(), delimiter=self._delimiter)
        header_seen = not self.header or self._row > 0
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                cells = None
            self._row += 1
            if cells is None:
                yield self._row, None
            elif any(map(str.strip, cells)):
                if header_seen:
                    yield self._row, cells
                header_seen = True

    def _lines(self) -> Iterator[str]:
        # The reader takes exactly the lines of one record before it hands it out: the offset is
        # therefore the next record's first byte.
        for line in self._old_mac_lines() if self._old_mac else self._file:
            self._offset += len(line)
            yield line.decode(self._encoding)

    def _old_mac_lines(self) -> Iterator[bytes]:
        for line in self._file.read().split(b"\r"):
            yield line + b"\r"


class _WorkbookRows:
    """Rows of a workbook's first sheet."""

    def __init__(self, workbook: Workbook, place: Place) -> None:
        rows = (cells for _, cells in workbook.rows())
        self.header = _checked(next((cells for cells in rows if any(map(str.strip, cells))), ()))
        self.rows = max(0, workbook.height - 1)
        self._workbook = workbook
        self._row = place.row

    @property
    def place(self) -> Place:
        return Place(self._row)

    def __iter__(self) -> Iterator[tuple[int, Sequence[str] | None]]:
        header_seen = self._row > 0
        for number, cells in self._workbook.rows(after=self._row):
            self._row = number
            if not any(map(str.strip, cells)):
                continue
            if header_seen:
                yield number, cells
            header_seen = True


@contextmanager
def _workbook_problems() -> Iterator[None]:
    try:
        yield
    except WorkbookTooLarge:
        raise UnreadableTable("workbook_too_large") from None
    except BrokenWorkbook:
        raise UnreadableTable("broken_excel") from None


def write_row(cells: Sequence[object], delimiter: str = ",") -> str:
    """One CSV line for people who open it in a spreadsheet; ends with a line break."""
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerow([guarded(str(cell)) for cell in cells])
    return buffer.getvalue()


def guarded(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula (ASVS 1.2.10, CWE-1236).

    A plain number may begin with a sign; everything else gets an apostrophe, which `unguarded`
    takes away again when the corrected list comes back.
    """
    if text[:1] in _FORMULA_STARTS and not _is_number(text):
        return "'" + text
    return text


def unguarded(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULA_STARTS and text[1:] else text


_FORMULA_STARTS = tuple("=+-@\t\r\0＝＋－＠")


def _is_number(text: str) -> bool:
    return text.lstrip("+-").replace(".", "", 1).isdecimal() and text.isascii()
