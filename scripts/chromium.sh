#!/bin/sh
# The browser tests look at pages with chromium. As root on Debian it is installed when missing;
# elsewhere a line says so and those tests are skipped (with CI set they fail instead).
set -eu

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing chromium and an Arabic font for the browser tests ..."
    export DEBIAN_FRONTEND=noninteractive
    if { apt-get update && apt-get install -y --no-install-recommends chromium fonts-noto-core; } >/tmp/tabur-apt.log 2>&1
    then exit 0; fi
    echo "tabur: apt-get could not install chromium: $(tail -n 1 /tmp/tabur-apt.log)" >&2
else
    echo "tabur: chromium is missing, so the browser tests are skipped. On Debian: sudo apt-get install -y chromium fonts-noto-core" >&2
fi
