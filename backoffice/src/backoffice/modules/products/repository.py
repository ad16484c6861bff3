"""Products and imports in the database; every call happens in its caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Select, Table, insert, select, update
from sqlalchemy.orm import Session

from backoffice.integrations.tables import Place
from backoffice.kernel.database import now, upsert
from backoffice.kernel.text import search_key
from backoffice.modules.accounts.api import Member
from backoffice.modules.products.errors import ImportMoved
from backoffice.modules.products.models import ImportRejection, Product, ProductImport
from backoffice.modules.products.rules import ImportState, ProductRow, Reason

#: Rejected rows kept with their cells; beyond these they are only counted.
MOST_KEPT_REJECTIONS = 100_000
_KEPT_CELL = 1_000
#: For so long the same Idempotency-Key means the same import.
_KEY_LIVES = timedelta(hours=24)
_PRODUCTS = cast(Table, Product.__table__)


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Rows read together: what is good, what is not, and the place after them."""

    good: Sequence[tuple[int, ProductRow, Sequence[str]]]
    bad: Sequence[tuple[int, Sequence[str], Sequence[Reason]]]
    place: Place


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """How far an import is and what it has counted until there."""

    import_id: int
    business_id: int
    place: Place
    done: int
    imported: int
    updated: int
    rejected: int


@dataclass(frozen=True, kw_only=True)
class ProductPage:
    """One page of products; `before` and `after` are the SKUs that lead to its neighbours."""

    products: Sequence[Product]
    before: str | None
    after: str | None


def product_page(
    session: Session,
    member: Member,
    *,
    query: str,
    after: str | None,
    before: str | None,
    size: int,
) -> ProductPage:
    """Products by SKU, those after or before one of them; keyset, so page 900 costs as page 1."""
    found = select(Product).where(Product.business_id == member.business_id)
    for word in search_key(query).split():
        found = found.where(Product.search.contains(word, autoescape=True))
    if before is not None:
        found = found.where(Product.sku < before).order_by(Product.sku.desc())
    else:
        found = found.order_by(Product.sku)
        if after is not None:
            found = found.where(Product.sku > after)
    rows = list(session.scalars(found.limit(size + 1)))
    more = len(rows) > size
    rows = rows[:size]
    if before is not None:
        rows.reverse()
    has_before = more if before is not None else after is not None
    has_after = more if before is None else True
    return ProductPage(
        products=rows,
        before=rows[0].sku if rows and has_before else None,
        after=rows[-1].sku if rows and has_after else None,
    )


def own_import(session: Session, member: Member, import_id: int) -> ProductImport | None:
    """The import, if it is the member's business's."""
    return session.scalar(_imports(member).where(ProductImport.id == import_id))


def latest_imports(session: Session, member: Member, *, limit: int) -> Sequence[ProductImport]:
    return session.scalars(_imports(member).order_by(ProductImport.id.desc()).limit(limit)).all()


def import_by_key(session: Session, member: Member, key: str) -> ProductImport | None:
    """The import this user started under `key`; a key older than a day is free again."""
    found = session.scalar(
        _imports(member).where(
            ProductImport.user_id == member.user_id, ProductImport.idempotency_key == key
        )
    )
    if found is not None and found.created_at < now() - _KEY_LIVES:
        found.idempotency_key = None
        session.flush()
        return None
    return found


def has_file(session: Session, member: Member, sha256: str) -> bool:
    found = _imports(member).where(ProductImport.sha256 == sha256).limit(1)
    return session.scalar(found) is not None


def rejections(
    session: Session, import_id: int, *, after: int = 0, limit: int
) -> Sequence[ImportRejection]:
    rows = select(ImportRejection).where(
        ImportRejection.import_id == import_id, ImportRejection.row > after
    )
    return session.scalars(rows.order_by(ImportRejection.row).limit(limit)).all()


def change_state(
    session: Session,
    import_id: int,
    *,
    expected: Collection[ImportState],
    **values: Any,
) -> bool:
    """Sets `values` if the import is in one of the `expected` states; False if it is not."""
    changed = session.execute(
        update(ProductImport)
        .where(ProductImport.id == import_id, ProductImport.state.in_(expected))
        .values(values)
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[Any]", changed).rowcount == 1


def cursor_of(work: ProductImport) -> Cursor:
    """How far the import is: where a first attempt begins and a later one goes on."""
    return Cursor(
        import_id=work.id,
        business_id=work.business_id,
        place=Place(work.row, work.offset),
        done=work.done,
        imported=work.imported,
        updated=work.updated,
        rejected=work.rejected,
    )


def apply_chunk(
    session: Session, cursor: Cursor, chunk: Chunk, *, columns: Collection[str]
) -> Cursor:
    """Writes one chunk and moves the cursor past it, all in the caller's one transaction.

    Raises ImportMoved where the import is no longer at `cursor`: somebody else carries it on.
    """
    # The write comes first: it takes the lock under which everything below is read.
    moved = session.execute(
        update(ProductImport)
        .where(
            ProductImport.id == cursor.import_id,
            ProductImport.state == ImportState.RUNNING,
            ProductImport.row == cursor.place.row,
        )
        .values(row=chunk.place.row, offset=chunk.place.offset)
        .execution_options(synchronize_session=False)
    )
    if cast("CursorResult[Any]", moved).rowcount != 1:
        raise ImportMoved(cursor.import_id)
    known = _known(session, cursor, [row.sku for _, row, _ in chunk.good])
    taken = {sku: number for sku, number in known.items() if number is not None}
    values: list[dict[str, Any]] = []
    twice: list[tuple[int, Sequence[str], Sequence[Reason]]] = []
    owner = {"business_id": cursor.business_id, "import_id": cursor.import_id}
    for number, row, cells in chunk.good:
        first = taken.setdefault(row.sku, number)
        if first == number:
            values.append({**owner, **row._asdict(), "import_row": number})
        else:
            twice.append((number, cells, [Reason("sku", "sku_twice", {"row": str(first)})]))
    if values:
        statement = upsert(
            _PRODUCTS,
            session.get_bind().dialect.name,
            key=("business_id", "sku"),
            change=(*columns, "search", "import_id", "import_row"),
        )
        session.connection().execute(statement, values)
    rejected = sorted([*chunk.bad, *twice], key=lambda each: each[0])
    _keep_rejections(session, cursor, rejected)
    updated = sum(1 for each in values if each["sku"] in known)
    after = replace(
        cursor,
        place=chunk.place,
        done=cursor.done + len(chunk.good) + len(chunk.bad),
        imported=cursor.imported + len(values) - updated,
        updated=cursor.updated + updated,
        rejected=cursor.rejected + len(rejected),
    )
    session.execute(
        update(ProductImport)
        .where(ProductImport.id == cursor.import_id)
        .values(
            done=after.done,
            imported=after.imported,
            updated=after.updated,
            rejected=after.rejected,
        )
        .execution_options(synchronize_session=False)
    )
    return after


def _known(session: Session, cursor: Cursor, skus: Sequence[str]) -> dict[str, int | None]:
    """SKUs the business has, each with its row in this very file if that is where it came from."""
    found = session.execute(
        select(Product.sku, Product.import_id, Product.import_row).where(
            Product.business_id == cursor.business_id, Product.sku.in_(skus)
        )
    )
    return {sku: row if each == cursor.import_id else None for sku, each, row in found}


def _keep_rejections(
    session: Session,
    cursor: Cursor,
    rejected: Sequence[tuple[int, Sequence[str], Sequence[Reason]]],
) -> None:
    kept = rejected[: max(0, MOST_KEPT_REJECTIONS - cursor.rejected)]
    if kept:
        session.execute(
            insert(ImportRejection),
            [
                {
                    "import_id": cursor.import_id,
                    "row": number,
                    "reasons": [[each.field, each.code, dict(each.params)] for each in reasons],
                    "cells": [_storable(cell) for cell in cells],
                }
                for number, cells, reasons in kept
            ],
        )


def _storable(cell: str) -> str:
    return cell[:_KEPT_CELL].replace("\0", "\ufffd").encode(errors="replace").decode()


def _imports(member: Member) -> Select[ProductImport]:
    return select(ProductImport).where(ProductImport.business_id == member.business_id)
