"""Every error Tabur raises, in one tree.

TaburError
├── ConfigError            settings that cannot work; says which and what to write instead
├── UnknownJob             a name that no job of this app bears
│   └── NewerJob           arguments of a version that this app does not know yet
├── PayloadError           arguments or a result that cannot be kept; raised where they are made
│   └── SealError          what is encrypted or signed cannot be opened: no key, or it was changed
├── IdempotencyConflict    the key was used before with another body
├── UniqueConflict         another job holds the unique key, and on_conflict="raise"
├── JobNotFound            no such id in the store (or no longer)
├── BatchNotFound          no batch, chain or workflow has this id (or no longer)
├── JobNotFinished         a result was asked for too early
├── JobFailed              a result was asked for and the job has failed
├── JobCancelled           its owner called the job back
├── ScheduleNotFound       no schedule is called so
├── ScheduleConflict       its name is taken, or somebody else has changed it just then
├── ClaimLost              another worker has the job now: the transaction was rolled back
├── DispatchWouldBlock     a dispatch that would wait for the caller's own open transaction
└── StoreError
    ├── SchemaMissing      `tabur migrate` has not been run
    └── StoreUnavailable   the store does not answer or stays locked: unknown whether it was done
        └── StoreUnreachable   no connection could be made: nothing was sent
"""

from __future__ import annotations

from typing import NoReturn


class TaburError(Exception):
    """Base of all. `permanent`: trying again without a change cannot help."""

    permanent = False


class ConfigError(TaburError):
    permanent = True


class UnknownJob(TaburError):
    permanent = True

    def __init__(self, name: str) -> None:
        super().__init__(
            f"No job is called {name!r} in this app. Was it renamed? Add aliases=[{name!r}] to it, "
            "or restart the workers after a deployment (tabur queue:restart)."
        )
        self.name = name


class NewerJob(UnknownJob):
    def __init__(self, name: str, version: int, code: str | None) -> None:
        by = f" by version {code} of the application" if code else ""
        TaburError.__init__(
            self,
            f"It was dispatched{by} with version {version} of the arguments of {name}, which this "
            "worker does not know: deploy there, and restart the workers (tabur queue:restart).",
        )
        self.name = name


class PayloadError(TaburError):
    permanent = True


class SealError(PayloadError):
    pass


class IdempotencyConflict(TaburError):
    permanent = True

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency key {key!r} was used before with another job or other arguments. "
            "Send the first request again unchanged, or use a new key."
        )
        self.key = key


class UniqueConflict(TaburError):
    def __init__(self, name: str, holder: str) -> None:
        super().__init__(
            f"{name} was not dispatched: job {holder} holds its unique key. Look at that one with "
            f"jobs.handle({holder!r}), or wait until it has ended."
        )
        self.name = name
        self.holder = holder


class JobNotFound(TaburError):
    permanent = True

    def __init__(self, job_id: str) -> None:
        super().__init__(f"No job with id {job_id} (it may have been removed by retention).")
        self.job_id = job_id


class BatchNotFound(TaburError):
    permanent = True

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"No batch with id {batch_id} (it may have been removed by retention).")
        self.batch_id = batch_id


class JobNotFinished(TaburError):
    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"Job {job_id} is {state}; wait for it with handle.wait(timeout=…).")
        self.job_id = job_id
        self.state = state


class JobFailed(TaburError):
    permanent = True

    def __init__(self, job_id: str, error_type: str, message: str) -> None:
        super().__init__(f"Job {job_id} failed with {error_type}: {message}")
        self.job_id = job_id
        self.error_type = error_type
        self.message = message


class JobCancelled(TaburError):
    permanent = True

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Job {job_id} was cancelled.")
        self.job_id = job_id


class ScheduleNotFound(TaburError):
    permanent = True

    def __init__(self, name: str, close: list[str] | None = None) -> None:
        meant = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        super().__init__(
            f"No schedule is called {name!r}.{meant} (tabur schedule:list shows all; those of the "
            "code are there once a scheduler has run.)"
        )
        self.name = name


class ScheduleConflict(TaburError):
    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"The schedule {name!r} {what}.")
        self.name = name


class ClaimLost(TaburError):
    """Raised in a job by `ctx.transaction()` and `ctx.checkpoint()`."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"Job {job_id} was taken from this worker while it ran (it was thought to be dead): "
            "it may run elsewhere by now, or have ended there. This transaction was rolled back, "
            "and nothing of it was written. Let this error pass: the run is over."
        )
        self.job_id = job_id


class DispatchWouldBlock(TaburError):
    permanent = True


class StoreError(TaburError):
    pass


class SchemaMissing(StoreError):
    permanent = True

    def __init__(self, store: str, detail: str = "") -> None:
        more = f" ({detail})" if detail else ""
        super().__init__(f"The tables of Tabur are not in {store}{more}. Run: tabur migrate")
        self.store = store


class StoreUnavailable(StoreError):
    pass


class StoreUnreachable(StoreUnavailable):
    pass


def refuse(text: str) -> NoReturn:
    """Raise a ConfigError; lets a check be written as one expression."""
    raise ConfigError(text)
