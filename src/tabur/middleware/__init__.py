"""Middleware that is supplied: `@jobs.job(middleware=[RateLimited(10, per=60)])`."""

from tabur.jobs.middleware import Next
from tabur.middleware.conditions import FailOnException, Release, Skip
from tabur.middleware.limiting import RateLimited
from tabur.middleware.overlapping import WithoutOverlapping
from tabur.middleware.throttling import ThrottlesExceptions
from tabur.middleware.transaction import InTransaction

__all__ = [
    "FailOnException",
    "InTransaction",
    "Next",
    "RateLimited",
    "Release",
    "Skip",
    "ThrottlesExceptions",
    "WithoutOverlapping",
]
