#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs the built programs, or removes them.
# Usage: BUILD=DIR [DESTDIR=DIR] [PREFIX=/usr] [HELPER_MODE=none|caps|setuid] packaging/install.sh
#        [DESTDIR=DIR] [PREFIX=/usr] packaging/install.sh --remove
# SCRATCH=yes: STOCKADE_HELPER will name the helper, so PREFIX need not be what it was built for.
set -euo pipefail
root=${DESTDIR:-}${PREFIX:-/usr}
helper=$root/libexec/stockade/stockade-helper
session=$root/libexec/stockade/stockade-session-helper
# Where the session bus and the user's systemd look for what they start.
bus=$root/share/dbus-1/services/org.freedesktop.Flatpak.service
unit=$root/lib/systemd/user/stockade-session-helper.service
mode=${HELPER_MODE:-none}

# bus_is_others: whether another program serves that name here, such as Flatpak's own.
bus_is_others() { [ -e "$bus" ] && ! grep -q '^Exec=.*/stockade-session-helper$' "$bus"; }

if [ "${1:-}" = --remove ]; then
	bus_is_others || rm -f "$bus"
	rm -f "$root/bin/stockade" "$root/bin/stockade-bwrap" "$helper" "$session" "$unit"
	[ ! -d "${helper%/*}" ] || rmdir "${helper%/*}"
	exit
fi

case $mode in
none | caps | setuid) ;;
*)
	echo "install: HELPER_MODE is $mode, not none, caps or setuid" >&2
	exit 1
	;;
esac
# A helper that loads libraries would load the caller's: cargo build alone makes one.
"$(dirname "$0")/check-static" "$BUILD/stockade-helper"
built=$(cat "$BUILD/stockade.prefix" 2>/dev/null || true)
if [ -z "${SCRATCH:-}" ] && [ "$built" != "${PREFIX:-/usr}" ]; then
	echo "install: stockade was built for ${built:-no} PREFIX: make build PREFIX=${PREFIX:-/usr}" >&2
	exit 1
fi

install -d -m 0755 "$root/bin" "${helper%/*}"
install -m 0755 "$BUILD/stockade" "$BUILD/stockade-bwrap" "$root/bin/"
# A new file without privilege takes the place of an old one with it, never the other way round.
install -m 0755 "$BUILD/stockade-helper" "$helper.new"
case $mode in
caps)
	[ "$(id -u)" -ne 0 ] || chown 0:0 "$helper.new"
	PATH=$PATH:/usr/sbin:/sbin setcap cap_sys_admin,cap_mknod,cap_net_admin=p "$helper.new"
	;;
setuid)
	chown 0:0 "$helper.new"
	chmod 4755 "$helper.new"
	;;
esac
mv -f "$helper.new" "$helper"

install -m 0755 "$BUILD/stockade-session-helper" "$session"
# service FILE PLACE: with the name of the program that it starts.
service() {
	install -d -m 0755 "${2%/*}"
	sed "s|@LIBEXEC@|${PREFIX:-/usr}/libexec/stockade|" "$(dirname "$0")/$1" >"$2"
	chmod 0644 "$2"
}
service stockade-session-helper.service "$unit"
if bus_is_others; then
	echo "install: $bus is another program's and stays as it is (docs/run.md, \"Session helper\")"
else
	service org.freedesktop.Flatpak.service "$bus"
fi
