"""The scenarios, one file each. A new one is a class here and a word in `_ALL`."""

from __future__ import annotations

from chaos.scenario import Scenario
from chaos.scenarios.b1 import B1
from chaos.scenarios.c1 import C1
from chaos.scenarios.c2 import C2
from chaos.scenarios.d1 import D1
from chaos.scenarios.g1 import G1
from chaos.scenarios.h1 import H1
from chaos.scenarios.k1 import K1
from chaos.scenarios.k2 import K2
from chaos.scenarios.m1 import M1
from chaos.scenarios.n1 import N1
from chaos.scenarios.p1 import P1
from chaos.scenarios.q1 import Q1
from chaos.scenarios.r1 import R1
from chaos.scenarios.s1 import S1
from chaos.scenarios.sim import Sim
from chaos.scenarios.u1 import U1
from chaos.scenarios.v1 import V1
from chaos.scenarios.y1 import Y1
from chaos.scenarios.z1 import Z1

_ALL: tuple[type[Scenario], ...] = (
    *(K1, K2, N1, Z1, H1, P1, B1, G1, U1, C2, Y1),  # processes
    *(D1, R1, M1, V1, Q1, S1),  # stores
    *(C1, Sim),  # no processes, no stores
)
SCENARIOS = {each.id: each for each in _ALL}
