"""Whole fleets of workers in virtual time, with faults that a seed decides.

```console
$ python -m tabur.testing.simulation --seeds 1000
$ python -m tabur.testing.simulation --seed 347 --trace
```

What runs is the worker's own code: supervisor, upkeep, child and pump, line by line. Clocks,
threads, processes and the way to the store are made up, so that a minute of trouble on three hosts
takes some 30 ms, and the same seed always tells the same story. Each call that arrives at the store
is done on a model too, and everything that was promised of workers is looked at as it happens.

It runs on the driver in memory, and on any other one that takes a clock:

```python
from tabur.testing.simulation import Simulator

simulator = Simulator(lambda clock: MyDriver(clock=clock))
for seed in range(100):
    simulator.check(seed)
```

Needs the extra `testing`. One simulation at a time in a process: while one runs, the worker's
modules are given other clocks and threads.
"""

from tabur.testing.simulation.history import History
from tabur.testing.simulation.simulator import Broken, Simulator

__all__ = ["Broken", "History", "Simulator"]
