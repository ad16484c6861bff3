"""Who meets whom: the one place where the modules, the database and the queue are put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from backoffice.kernel.database import make_engine
from backoffice.kernel.events import Events
from backoffice.kernel.schema import upgrade
from backoffice.kernel.settings import Settings
from backoffice.modules.accounts.api import DEMO_ACCOUNTS
from backoffice.modules.accounts.service import Accounts
from backoffice.modules.notifications.api import notify
from backoffice.modules.notifications.service import Notifications
from backoffice.modules.products.events import ImportEnded
from backoffice.modules.products.jobs import declare
from backoffice.modules.products.schemas import ImportSummary
from backoffice.modules.products.service import Importer, Products
from tabur import Job, Tabur


@dataclass(frozen=True, kw_only=True)
class BackOffice:
    """The application without its web side."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    jobs: Tabur
    import_job: Callable[[int], Job[ImportSummary]]
    accounts: Accounts
    products: Products
    notifications: Notifications

    def provision(self) -> None:
        """Brings both schemas up to date and makes the demo accounts; safe to repeat."""
        upgrade(self.engine)
        self.jobs.migrate()
        self.accounts.seed(DEMO_ACCOUNTS)

    def close(self) -> None:
        self.jobs.close()
        self.engine.dispose()


def build(settings: Settings) -> BackOffice:
    """Puts the application together; opens nothing that is not needed yet."""
    engine = make_engine(settings.database_url)
    jobs = Tabur(
        connection=settings.queue_connection,
        database_url=settings.queue_url,
        redis_url=settings.redis_url,
        # An import and its job are one transaction, wherever the job is to run.
        outbox_url=settings.database_url if settings.queue_connection == "redis" else None,
        key=settings.secret,
        attachments=settings.attachments,
    )
    if settings.queue_connection in ("database", "redis"):
        jobs.install(engine)
    sessions = sessionmaker(engine, expire_on_commit=False)
    events = Events()
    importer = Importer(sessions, events, settings)
    import_job = declare(jobs, importer)
    products = Products(
        sessions=sessions,
        settings=settings,
        importer=importer,
        jobs=jobs,
        import_job=import_job,
    )
    events.on(ImportEnded, _tell_owner)
    return BackOffice(
        settings=settings,
        engine=engine,
        sessions=sessions,
        jobs=jobs,
        import_job=import_job,
        accounts=Accounts(sessions),
        products=products,
        notifications=Notifications(sessions),
    )


def _tell_owner(session: Session, event: ImportEnded) -> None:
    if not event.queued:
        return  # it ran inside the request: its owner is looking at the outcome
    code = "import_completed_with_rejected" if event.rejected else "import_completed"
    notify(
        session,
        business_id=event.business_id,
        user_id=event.user_id,
        code="import_failed" if event.failed else code,
        params={
            "file": event.file_name,
            "imported": event.imported,
            "updated": event.updated,
            "rejected": event.rejected,
        },
        link=f"/imports/{event.import_id}",
    )
