#!/bin/sh
# Installs the pinned set: `install.sh demo` what runs, `install.sh dev` everything; into .venv, or
# into the environment named second.
# The build tool comes first and pinned, so that building our own two packages fetches nothing.
set -eu
cd "$(dirname "$0")/.."

environment=${2:-.venv}
case "$1" in
    demo) extras="web"; of_backoffice="" ;;
    dev) extras="dev"; of_backoffice="[samples]" ;;
esac

pip() {
    "$environment/bin/python" -m pip --disable-pip-version-check "$@" >"$environment/install.log" 2>&1 || {
        echo "tabur: pip $1 failed; the end of $environment/install.log:" >&2
        tail -n 5 "$environment/install.log" >&2
        exit 1
    }
}

echo "Installing into $environment (${1}; only after a change, a minute or two the first time) ..."
pip install -c constraints.txt hatchling editables
pip install -c constraints.txt --no-build-isolation -e ".[$extras]" -e "./backoffice$of_backoffice"
