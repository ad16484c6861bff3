"""Classes as jobs: fields are the payload, options are class keywords."""

from __future__ import annotations

import dataclasses
import inspect
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, Unpack, dataclass_transform

from tabur.errors import ConfigError
from tabur.jobs.context import JobContext
from tabur.jobs.definition import (
    JobDefinition,
    argument_types,
    result_type_of,
    shown_arguments,
)
from tabur.jobs.options import DeclaredOptions, DispatchKeywords, declared
from tabur.jobs.pending import PendingJob, Sender
from tabur.model.codec import REQUIRED, Upcaster

if TYPE_CHECKING:
    from tabur.jobs.handle import JobHandle

R = TypeVar("R")
U = TypeVar("U", bound=Upcaster)

#: Options that name one job and no other: a subclass does not inherit them.
_OWN_OPTIONS = frozenset({"name", "aliases"})


@dataclass_transform()
class Job(Generic[R]):
    """Base of jobs that are classes.

    ```python
    @jobs.register
    class SyncProducts(Job[int], queue="sync", tries=10):
        shop: str
        limit: int = 500

        def handle(self, ctx: JobContext) -> int: ...
    ```
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    __tabur_declared__: ClassVar[DeclaredOptions] = {}
    __tabur_definition__: ClassVar[JobDefinition | None] = None
    __tabur_dispatcher__: ClassVar[Sender | None] = None

    def __init_subclass__(cls, **options: Unpack[DeclaredOptions]) -> None:
        super().__init_subclass__()
        own = vars(cls)
        for option in DeclaredOptions.__annotations__:
            if option in own or option in own.get("__annotations__", {}):
                raise ConfigError(
                    f"{cls.__name__}.{option}: options are class keywords; as an attribute it "
                    f"would become payload. Write class {cls.__name__}(Job[...], {option}=...) "
                    "(or call the field otherwise)."
                )
        inherited: Any = {
            option: value
            for option, value in cls.__tabur_declared__.items()
            if option not in _OWN_OPTIONS
        }
        cls.__tabur_declared__ = {**inherited, **options}
        # Else a subclass nobody has registered would dispatch its parent.
        cls.__tabur_definition__ = cls.__tabur_dispatcher__ = None
        dataclasses.dataclass(cls, repr=False)

    def __post_init__(self) -> None:
        if self.__tabur_definition__ is not None:
            self.__tabur_definition__.codec.check(vars(self))

    @abstractmethod
    def handle(self, ctx: JobContext) -> Any:
        """Do the work; may be `async def`. What it returns is the result."""

    def failed(self, ctx: JobContext, error: BaseException) -> Any:
        """Called once the job has failed for good, before it is recorded: at least once."""

    def __repr__(self) -> str:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        options = self.__tabur_declared__
        hidden = fields if options.get("encrypted") else options.get("secret", ())
        return f"{type(self).__qualname__}({shown_arguments(fields, hidden)})"

    def options(self, **given: Unpack[DispatchKeywords]) -> PendingJob[R]:
        """This job with other options: see `PendingJob.options`."""
        return self.pending().options(**given)

    def pending(self) -> PendingJob[R]:
        """This job as a value that can be dispatched."""
        definition, dispatcher = self.__tabur_definition__, self.__tabur_dispatcher__
        if definition is None or dispatcher is None:
            raise _of_no_app(type(self))
        return PendingJob(definition, vars(self), dispatcher)

    def dispatch(self) -> JobHandle[R]:
        """Put it on its queue."""
        return self.pending().dispatch()

    async def dispatch_async(self) -> JobHandle[R]:
        """Put it on its queue, away from the caller's event loop."""
        return await self.pending().dispatch_async()

    @classmethod
    def upcast(cls, from_version: int) -> Callable[[U], U]:
        """Above a function that makes fields of `from_version`, a dict, those of the version after
        it; it changes nothing else. The class is registered before. Raises ConfigError."""

        def decorate(upcaster: U) -> U:
            if cls.__tabur_definition__ is None:
                raise _of_no_app(cls)
            cls.__tabur_definition__.add_upcaster(from_version, upcaster)
            return upcaster

        return decorate

    def run(self, ctx: JobContext | None = None) -> R:
        """Run it here and now, with no queue: for tests."""
        return self.pending().run(ctx)


def _of_no_app(cls: type[Job[Any]]) -> ConfigError:
    return ConfigError(f"{cls.__name__} belongs to no app yet. Put @jobs.register above the class.")


def define_class(cls: type[Job[Any]]) -> JobDefinition:
    """A definition from a Job class. Raises ConfigError where it has no `handle`."""
    name, options = declared(cls.__name__, cls.__tabur_declared__)
    if cls.handle is Job.handle:
        raise ConfigError(f"{cls.__name__} needs a method: def handle(self, ctx: JobContext).")
    hints = argument_types(cls, cls.__name__)
    fields = {
        each.name: (hints[each.name], _field_default(cls.__name__, each))
        for each in dataclasses.fields(cls)
    }
    names = tuple(fields)

    def make(arguments: Any) -> Job[Any]:
        return cls(**{each: getattr(arguments, each) for each in names})

    def call(ctx: JobContext, arguments: Any) -> Any:
        return make(arguments).handle(ctx)

    def failed(ctx: JobContext, arguments: Any, error: BaseException) -> Any:
        return make(arguments).failed(ctx, error)

    return JobDefinition(
        name or cls.__name__,
        options,
        fields=fields,
        call=call,
        is_async=inspect.iscoroutinefunction(cls.handle),
        result_type=result_type_of(argument_types(cls.handle, cls.__name__).get("return", Any)),
        failed=None if cls.failed is Job.failed else failed,
    )


def _field_default(name: str, field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return REQUIRED
