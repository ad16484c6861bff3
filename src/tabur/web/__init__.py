"""What a web page needs of a job: its status, its bar, and the 202 that starts it; and what probes
ask of a web process.

```python
app.mount("/api/jobs", status_app(jobs, owner=who_asks))     # Starlette or FastAPI
return accepted(handle, request)                             # 202 with Location and check_url
app.mount("/health", health_app(jobs))                       # /health/live, /health/ready
```
"""

try:
    import starlette as _starlette  # noqa: F401  # to say here what is missing, not ten lines below
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "tabur.web needs Starlette. Run: pip install 'tabur[web]'", name=_missing.name
    ) from None

from tabur.web.events import StreamLimits
from tabur.web.health import HealthApp, health_app
from tabur.web.requests import accepted, idempotency_conflict, idempotency_key
from tabur.web.status import StatusApp, status_app
from tabur.web.tokens import read_token

__all__ = [
    "HealthApp",
    "StatusApp",
    "StreamLimits",
    "accepted",
    "health_app",
    "idempotency_conflict",
    "idempotency_key",
    "read_token",
    "status_app",
]
