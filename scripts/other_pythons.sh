#!/bin/sh
# Runs the tests, slow ones too, on each further Python found (3.11 to 3.13), in .venv-3.x of its own.
set -eu
cd "$(dirname "$0")/.."

ours=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
for version in 3.11 3.12 3.13; do
    [ "$version" != "$ours" ] || continue
    python=""
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
        if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then python=$candidate; fi
    done
    if [ -z "$python" ]; then
        echo "tabur: no Python $version here, so the tests did not run on it"
        continue
    fi
    echo "== Python $version"
    environment=".venv-$version"
    [ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
    scripts/install.sh dev "$environment"
    PATH="$PWD/$environment/bin:$PATH" "$environment/bin/python" -m pytest -n 2 "$@"
done
