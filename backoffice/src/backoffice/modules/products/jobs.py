"""The jobs of products."""

from __future__ import annotations

from collections.abc import Callable

from backoffice.integrations.tables import UnreadableTable
from backoffice.modules.products.rules import BadHeader
from backoffice.modules.products.schemas import ImportSummary
from backoffice.modules.products.service import Importer
from tabur import Job, JobContext, Tabur

#: A million rows take about a minute; what takes a quarter of an hour hangs.
_TIMEOUT = 900


def declare(jobs: Tabur, importer: Importer) -> Callable[[int], Job[ImportSummary]]:
    """Declares the jobs on `jobs`; answers what makes a pending import job."""

    @jobs.register
    class ImportProductsJob(
        Job[ImportSummary],
        queue="imports",
        tries=3,
        backoff=[2, 10],
        timeout=_TIMEOUT,
        # The file will not have changed by the next attempt.
        never_retry=(UnreadableTable, BadHeader),
    ):
        """Carries one import to its end, from where an attempt before may have left it."""

        import_id: int

        def handle(self, ctx: JobContext) -> ImportSummary:
            return importer.run(self.import_id, ctx)

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            importer.give_up(self.import_id)

    return lambda import_id: ImportProductsJob(import_id=import_id)
