#!/bin/sh
# Makes .venv with the first Python here that is new enough, or says in one line why it cannot.
# PYTHON=... chooses one. A shim that answers "not found" (pyenv) is passed over like a missing one.
set -eu
cd "$(dirname "$0")/.."

say() { echo "tabur: $*" >&2; exit 1; }

if .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exit 0
fi

new_enough="" with_venv="" seen=""
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    seen="${seen:+$seen, }$candidate is $version"
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue
    new_enough=${new_enough:-$candidate}
    "$candidate" -c 'import venv, ensurepip' 2>/dev/null || continue
    with_venv=$candidate
    break
done

if [ -z "$new_enough" ]; then
    say "Python 3.11 or newer is needed (found: ${seen:-none}). Install one, or name it: make PYTHON=/path/to/python3.12"
fi
if [ -z "$with_venv" ]; then
    version=$("$new_enough" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    become=""
    [ "$(id -u)" = 0 ] || become="sudo "
    if [ -e /etc/debian_version ]; then
        say "$new_enough has no venv module. Run: ${become}apt-get install -y python$version-venv"
    fi
    say "$new_enough cannot make virtual environments: it lacks the modules venv and ensurepip. Install them with your system's packages, or name another Python: make PYTHON=..."
fi

rm -rf .venv
"$with_venv" -m venv .venv >.venv.log 2>&1 || {
    reason=$(tail -n 1 .venv.log)
    rm -rf .venv .venv.log
    say "$with_venv -m venv .venv failed: $reason"
}
rm -f .venv.log
