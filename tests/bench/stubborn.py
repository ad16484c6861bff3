"""An adapter for tests: dispatching 1 ends the process, dispatching 2 never ends."""

import os
import time

from bench.adapter import BaseAdapter


class Adapter(BaseAdapter):
    def dispatch(self, n: int) -> None:
        if n == 1:
            os._exit(1)
        if n == 2:
            time.sleep(1_000)
