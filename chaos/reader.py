"""`python -m chaos.reader`: reads all that the store has of every job, in the version of Tabur that
is imported. Prints how many jobs that were, and their attempts."""

from __future__ import annotations

from chaos.app import jobs
from tabur.drivers.contract import Filter

PAGE = 500


def main() -> None:
    inspection = jobs.driver.inspection
    after: bytes | None = None
    read = attempts = 0
    while page := inspection.list(Filter(), limit=PAGE, after=after):
        after = page[-1].id
        read += len(page)
        attempts += sum(len(inspection.attempts(each.id)) for each in page)
    inspection.queues()
    jobs.driver.workers.list()
    print(read, attempts)


if __name__ == "__main__":
    main()
