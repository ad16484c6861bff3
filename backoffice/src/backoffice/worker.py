"""What `tabur --app backoffice.worker:jobs queue:work` loads: the jobs, and nothing of the web."""

from backoffice.kernel.settings import Settings
from backoffice.wiring import build

jobs = build(Settings.from_env()).jobs
