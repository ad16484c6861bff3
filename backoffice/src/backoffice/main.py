"""The application for a web server: `uvicorn backoffice.main:app`."""

from backoffice.http.app import create_app
from backoffice.kernel.settings import Settings
from backoffice.wiring import build

_backoffice = build(Settings.from_env())
app = create_app(_backoffice)
jobs = _backoffice.jobs
