#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Installs the built programs, or removes them.
# Usage: BUILD=DIR [DESTDIR=DIR] [PREFIX=/usr] [HELPER_MODE=none|caps|setuid] [APPARMOR=yes|no] packaging/install.sh
#        [DESTDIR=DIR] [PREFIX=/usr] packaging/install.sh --remove
# APPARMOR: whether the helper gets the AppArmor profile that fits its mode (packaging/apparmor); unless said, it
# does if it has one.
# SCRATCH=yes: STOCKADE_HELPER will name the helper, so PREFIX need not be what it was built for.
set -euo pipefail
root=${DESTDIR:-}${PREFIX:-/usr}
helper=$root/libexec/stockade/stockade-helper
session=$root/libexec/stockade/stockade-session-helper
portal=$root/libexec/stockade/stockade-portal
# Where the session bus and the user's systemd look for what they start.
bus=$root/share/dbus-1/services/org.freedesktop.Flatpak.service
portal_bus=$root/share/dbus-1/services/org.freedesktop.portal.Flatpak.service
unit=$root/lib/systemd/user/stockade-session-helper.service
portal_unit=$root/lib/systemd/user/stockade-portal.service
mode=${HELPER_MODE:-none}
policy=${DESTDIR:-}/etc/apparmor.d
place=$policy/tunables/stockade
says="@{stockade_helper}=\"${PREFIX:-/usr}/libexec/stockade/stockade-helper\""
PATH=$PATH:/usr/sbin:/sbin

# profile OPTION FILE: has the running kernel take the profile, or forget it.
profile() {
	[ -n "${DESTDIR:-}" ] || [ ! -d /sys/kernel/security/apparmor ] || apparmor_parser "$1" "$2"
}

# has_profile: whether it is that of the helper of this PREFIX, and came this way.
has_profile() {
	[ -e "$place" ] && grep -qxF "$says" "$place"
}

remove_profile() {
	has_profile || return 0
	profile -R "$policy/stockade-helper" || echo "install: the profile was not loaded" >&2
	rm -f "$policy/stockade-helper" "$place"
}

# is_others FILE PROGRAM: whether another program serves that name here, such as Flatpak's own.
is_others() { [ -e "$1" ] && ! grep -q "^Exec=.*/$2\$" "$1"; }

if [ "${1:-}" = --remove ]; then
	is_others "$bus" stockade-session-helper || rm -f "$bus"
	is_others "$portal_bus" stockade-portal || rm -f "$portal_bus"
	rm -f "$root/bin/stockade" "$root/bin/stockade-bwrap" "$helper" "$session" "$portal" "$unit" "$portal_unit"
	remove_profile
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
apparmor=${APPARMOR:-$(if has_profile; then echo yes; fi)}
case $apparmor in
yes | no | '') ;;
*)
	echo "install: APPARMOR is $apparmor, not yes or no" >&2
	exit 1
	;;
esac
if [ "$mode$apparmor" = noneyes ] && [ ! -e /etc/apparmor.d/abi/4.0 ] && [ -z "${DESTDIR:-}" ]; then
	echo "install: AppArmor before version 4 knows no user namespaces: leave APPARMOR out" >&2
	exit 1
fi
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
trap 'rm -f "$helper.new"' EXIT
install -m 0755 "$BUILD/stockade-helper" "$helper.new"
case $mode in
caps)
	[ "$(id -u)" -ne 0 ] || chown 0:0 "$helper.new"
	setcap cap_sys_admin,cap_mknod,cap_net_admin=p "$helper.new"
	;;
setuid)
	chown 0:0 "$helper.new"
	chmod 4755 "$helper.new"
	;;
esac
# The profile is there before what it is for.
case $apparmor in
yes)
	from=$(dirname "$0")/apparmor
	case $mode in
	none) kind=$from/stockade-helper-userns ;;
	caps | setuid) kind=$from/stockade-helper ;;
	esac
	install -d -m 0755 "$policy/tunables"
	sed "s|^@{stockade_helper}=.*|$says|" "$from/tunables/stockade" >"$place.new"
	chmod 0644 "$place.new"
	mv -f "$place.new" "$place"
	install -m 0644 "$kind" "$policy/stockade-helper"
	profile -r "$policy/stockade-helper"
	;;
no) remove_profile ;;
esac
mv -f "$helper.new" "$helper"

install -m 0755 "$BUILD/stockade-session-helper" "$session"
install -m 0755 "$BUILD/stockade-portal" "$portal"
# service FILE PLACE: with the name of the program that it starts.
service() {
	install -d -m 0755 "${2%/*}"
	sed "s|@LIBEXEC@|${PREFIX:-/usr}/libexec/stockade|" "$(dirname "$0")/$1" >"$2"
	chmod 0644 "$2"
}
service stockade-session-helper.service "$unit"
service stockade-portal.service "$portal_unit"
# bus_service FILE PLACE PROGRAM SECTION: unless the name is another program's.
bus_service() {
	if is_others "$2" "$3"; then
		echo "install: $2 is another program's and stays as it is (docs/run.md, \"$4\")"
	else
		service "$1" "$2"
	fi
}
bus_service org.freedesktop.Flatpak.service "$bus" stockade-session-helper "Session helper"
bus_service org.freedesktop.portal.Flatpak.service "$portal_bus" stockade-portal "Sub-sandboxes"
