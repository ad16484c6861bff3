"""`python -m chaos [D1 R1 …]`: the fault tests in full, one after the other, with a report."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from chaos import report
from chaos.scenario import Report, Scenario
from chaos.scenarios import SCENARIOS
from servers.find import Missing, binary


def main() -> None:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("scenario", nargs="*", metavar="ID", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--small", action="store_true", help="as the tests run them: seconds each")
    parser.add_argument("--minutes", type=float, help="of each, in place of its full size")
    parser.add_argument("--out", type=Path, default=report.FOLDER, help="where the report goes")
    given = parser.parse_args()
    unknown = set(given.scenario) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # servers are ended too

    found: list[Report] = []
    failed = False
    for name in given.scenario or SCENARIOS:
        scenario = _sized(SCENARIOS[name], small=given.small, minutes=given.minutes)
        print(f"{name}: {scenario.title}", flush=True)
        try:
            reports = _run(scenario)
        except Missing as missing:
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
    sys.exit(failed)


def _sized(kind: type[Scenario], *, small: bool, minutes: float | None) -> Scenario:
    if small:
        return kind.small()
    return kind().lasting(minutes) if minutes else kind()


def _run(scenario: Scenario) -> list[Report]:
    for program in scenario.programs:
        binary(program)
    with tempfile.TemporaryDirectory(prefix="tabur-chaos-") as place:
        return scenario.run(Path(place))


if __name__ == "__main__":
    main()
