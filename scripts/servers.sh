#!/bin/sh
# Tests, fault tests and measurements start PostgreSQL, MariaDB, Redis and supervisord for themselves.
# As root on Debian or Ubuntu what is missing is installed, and no service started; elsewhere a line
# says so and those tests are skipped (with CI set they fail instead).
set -eu
cd "$(dirname "$0")/.."

missing=$(.venv/bin/python - <<'PYTHON'
from servers.find import PROGRAMS, Missing, binary

for program in PROGRAMS:
    try:
        binary(program)
    except Missing as missing:
        print(missing.package)
PYTHON
)
missing=$(echo "$missing" | sort -u | xargs)
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "tabur: programs are missing, so their tests are skipped. On Debian: sudo apt-get install -y --no-install-recommends $missing" >&2
    exit 0
fi

# Debian starts a service it installs unless this file forbids it. Somebody else's is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

echo "Installing $missing for the tests ..."
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # names of packages, separated by spaces
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >/tmp/tabur-apt.log 2>&1
then
    echo "tabur: apt-get could not install $missing: $(tail -n 1 /tmp/tabur-apt.log)" >&2
fi
