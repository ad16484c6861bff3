"""Products, imports and rejected rows, as they are kept."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backoffice.kernel.database import Base, Thousandths, UtcDateTime


class Product(Base):
    """One thing a business sells. `import_id` and `import_row` say which row set it last."""

    __tablename__ = "products"
    __table_args__ = (UniqueConstraint("business_id", "sku"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    business_id: Mapped[int] = mapped_column(ForeignKey("businesses.id"))
    sku: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    name_ar: Mapped[str] = mapped_column(String(200))
    barcode: Mapped[str] = mapped_column(String(14))
    price: Mapped[Decimal] = mapped_column(Thousandths)
    currency: Mapped[str] = mapped_column(String(3))
    unit: Mapped[str] = mapped_column(String(16))
    stock: Mapped[Decimal] = mapped_column(Thousandths)
    search: Mapped[str] = mapped_column(Text)
    import_id: Mapped[int | None] = mapped_column(default=None)
    import_row: Mapped[int | None] = mapped_column(default=None)


class ProductImport(Base):
    """One file and how far its import is.

    `row`, `offset` and the counts are the cursor: they change in the transaction that writes the
    products they count, and in no other.
    """

    __tablename__ = "product_imports"
    __table_args__ = (
        UniqueConstraint("business_id", "user_id", "idempotency_key"),
        Index("ix_product_imports_business", "business_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    business_id: Mapped[int] = mapped_column(ForeignKey("businesses.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    file_name: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    table: Mapped[dict[str, Any]] = mapped_column("table_info", JSON)
    currency: Mapped[str] = mapped_column(String(3))
    state: Mapped[str] = mapped_column(String(16))
    total: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    idempotency_key: Mapped[str | None] = mapped_column(String(255), default=None)
    job_id: Mapped[str | None] = mapped_column(String(36), default=None)
    row: Mapped[int] = mapped_column("cursor_row", default=0)
    offset: Mapped[int] = mapped_column("cursor_offset", BigInteger, default=0)
    done: Mapped[int] = mapped_column("rows_done", default=0)
    imported: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class ImportRejection(Base):
    """A row that was not imported: its cells as they came, and every reason against it."""

    __tablename__ = "import_rejections"

    import_id: Mapped[int] = mapped_column(
        ForeignKey("product_imports.id", ondelete="CASCADE"), primary_key=True
    )
    row: Mapped[int] = mapped_column("row_number", primary_key=True, autoincrement=False)
    reasons: Mapped[list[Any]] = mapped_column(JSON)
    cells: Mapped[list[str]] = mapped_column(JSON)
