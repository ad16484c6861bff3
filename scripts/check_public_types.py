"""Asks pyright whether it knows the type of every public name of tabur, as a user's editor will.

An attribute whose type is inferred from its assignment counts as known; an `Unknown` one fails.
"""

import json
import subprocess
import sys

answer = subprocess.run(
    ["pyright", "--verifytypes", "tabur", "--ignoreexternal", "--outputjson"],
    check=False,  # it fails where a type is merely inferred
    capture_output=True,
    text=True,
)
report = json.loads(answer.stdout)["typeCompleteness"]
known = report["exportedSymbolCounts"]
if sum(known.values()) == 0:
    sys.exit(f"pyright found no public names in tabur:\n{answer.stdout[:2000]}")
unknown = [
    symbol["name"]
    for symbol in report["symbols"]
    if not symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]
]
print("\n".join(f"{name}: pyright does not know its type" for name in unknown))
print(f"{sum(known.values()):,} public names, {len(unknown)} of unknown type.")
sys.exit(bool(unknown))
