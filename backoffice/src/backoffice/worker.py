"""What `tabur --app backoffice.worker:jobs queue:work` loads: the jobs, and nothing of the web."""

import logging

from backoffice.kernel.settings import Settings
from backoffice.wiring import build

# Every rejected row is a warning of its job. They are kept with the import, for its owner; a
# terminal full of them would hide what concerns the operator.
logging.getLogger("tabur.job").setLevel(logging.ERROR)

jobs = build(Settings.from_env()).jobs
