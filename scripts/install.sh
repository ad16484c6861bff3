#!/bin/sh
# Installs the pinned set into .venv: `install.sh demo` what runs, `install.sh dev` everything.
# The build tool comes first and pinned, so that building our own two packages fetches nothing.
set -eu
cd "$(dirname "$0")/.."

case "$1" in
    demo) extras="web"; of_backoffice="" ;;
    dev) extras="dev"; of_backoffice="[samples]" ;;
esac

pip() {
    .venv/bin/python -m pip --disable-pip-version-check "$@" >.venv/install.log 2>&1 || {
        echo "tabur: pip $1 failed; the end of .venv/install.log:" >&2
        tail -n 5 .venv/install.log >&2
        exit 1
    }
}

echo "Installing into .venv (${1}; only after a change, a minute or two the first time) ..."
pip install -c constraints.txt hatchling editables
pip install -c constraints.txt --no-build-isolation -e ".[$extras]" -e "./backoffice$of_backoffice"
