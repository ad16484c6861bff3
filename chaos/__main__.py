"""`python -m chaos [D1 R1 …]`: the fault tests in full, one after the other, with a report."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path

from chaos import report
from chaos.scenario import LeftOut, OnEachStore, Report, Scenario
from chaos.scenarios import SCENARIOS
from chaos.scenarios.v1 import V1
from chaos.stores import STORES
from servers.find import Missing, binary


def main() -> None:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("scenario", nargs="*", metavar="ID", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--small", action="store_true", help="as the tests run them: seconds each")
    parser.add_argument("--minutes", type=float, help="of each, in place of its full size")
    parser.add_argument(
        "--store", action="append", choices=STORES, help="only on this one, where there is a choice"
    )
    parser.add_argument("--out", type=Path, default=report.FOLDER, help="where the report goes")
    given = parser.parse_args()
    unknown = set(given.scenario) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # servers are ended too

    found: list[Report] = []
    failed = False
    for name in given.scenario or SCENARIOS:
        for scenario in _parts(SCENARIOS[name], given):
            print(f"{name}: {scenario.title}", flush=True)
            try:
                reports = _run(scenario)
            except (Missing, LeftOut) as missing:
                print(f"  left out: {missing}")
                continue
            except Exception:
                traceback.print_exc()
                failed = True
                continue
            found += reports
            failed |= any(each.broken for each in reports)
            report.write(found, given.out)  # what is found so far survives what comes
            print(report.markdown(reports), flush=True)
    print(report.summary(found), flush=True)
    sys.exit(failed)


def _parts(kind: type[Scenario], given: argparse.Namespace) -> list[Scenario]:
    """In the size asked for; where there is a choice of stores, one for each, so that what goes
    wrong on one leaves the others."""
    scenario = kind.small() if given.small else kind()
    if given.minutes and not given.small:
        scenario = scenario.lasting(given.minutes)
    if not isinstance(scenario, OnEachStore | V1):
        return [scenario]
    return [replace(scenario, stores=(store,)) for store in given.store or STORES]


def _run(scenario: Scenario) -> list[Report]:
    for program in scenario.needs:
        binary(program)
    with tempfile.TemporaryDirectory(prefix="tabur-chaos-") as place:
        return scenario.run(Path(place))


if __name__ == "__main__":
    main()
