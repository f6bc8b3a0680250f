# SPDX-License-Identifier: MIT OR Apache-2.0
# make demo   real programs in real sandboxes, from a fresh machine with Rust
# make check  every test, from the same
# The others: setup build bench fuzz-args fuzz-decoder install uninstall
# check-applications-VERSION check-callers check-flatpak check-kernels check-kernel-VERSION check-load check-portals
# check-profiles check-weakened show-portals

CARGO ?= cargo
PREFIX ?= /usr
DESTDIR ?=
# Options of the benchmark, such as --binds 0,100 (benches/run).
BENCH ?=
# Where show-portals puts its pictures.
PICTURES ?= $(CARGO_TARGET_DIR)/pictures
# How many cases fuzz-args and fuzz-decoder try, or FIRST+COUNT.
RUNS ?= 10000000
# How the helper gets its rights: none, caps, setuid (README, "Modes").
HELPER_MODE ?= none
# Whether it gets an AppArmor profile: yes, no, or as it was (packaging/apparmor/README.md).
APPARMOR ?=

# Where the built stockade looks for its helper. Build and install with the same PREFIX.
ifneq ($(PREFIX),/usr)
export STOCKADE_HELPER_PATH := $(PREFIX)/libexec/stockade/stockade-helper
endif

CARGO_TARGET_DIR ?= $(CURDIR)/target
BUILD := $(CARGO_TARGET_DIR)/release
STATIC := -C target-feature=+crt-static -C relocation-model=pie
export CARGO_TARGET_DIR

# The frontend is static too where there is a static libseccomp: it starts in half the time. Not
# every distribution has one, or wants that.
# (Asked when it is needed: `setup` may just have installed it.)
SECCOMP_ARCHIVE = $(wildcard $(shell $${CC:-cc} -print-file-name=libseccomp.a))
SECCOMP = $(if $(SECCOMP_ARCHIVE),LIBSECCOMP_LINK_TYPE=static LIBSECCOMP_LIB_PATH=$(dir $(SECCOMP_ARCHIVE)))
STATIC_WITH_SECCOMP = $(if $(SECCOMP_ARCHIVE),$(STATIC))

.PHONY: help setup setup-build setup-bench setup-callers setup-flatpak setup-show build build-stockade \
	build-stockade-bwrap build-stockade-helper build-stockade-session-helper build-stockade-portal build-tests \
	build-bench demo check check-callers check-flatpak check-kernels check-load check-portals check-profiles \
	check-weakened show-portals bench bench-flatpak fuzz-args fuzz-decoder install uninstall clean

help:
	@sed -n '2,6s/^# //p' Makefile

setup:
	packaging/setup build check bench flatpak
setup-build:
	packaging/setup build
setup-bench:
	packaging/setup build bench
# Node and npm come from elsewhere as often, and Debian's would take their place.
setup-callers:
	packaging/setup callers $$(command -v npm >/dev/null && command -v node >/dev/null || echo callers-node)

setup-flatpak:
	packaging/setup build flatpak

setup-show:
	packaging/setup build flatpak show

# The helper is built by itself: its flags are its own, and a later `cargo build` of the whole
# workspace would put a dynamic one in its place.
build: build-stockade build-stockade-bwrap build-stockade-helper build-stockade-session-helper build-stockade-portal
	echo $(PREFIX) >$(BUILD)/stockade.prefix
build-stockade: setup-build
	$(SECCOMP) $(CARGO) rustc --release --locked -p stockade --no-default-features --features exec \
		--bin stockade -- $(STATIC_WITH_SECCOMP)
build-stockade-bwrap: setup-build
	$(CARGO) rustc --release --locked -p stockade --no-default-features --bin stockade-bwrap -- $(STATIC)
	packaging/check-static $(BUILD)/stockade-bwrap
build-stockade-session-helper: setup-build
	$(SECCOMP) $(CARGO) rustc --release --locked -p stockade --no-default-features --features session \
		--bin stockade-session-helper -- $(STATIC_WITH_SECCOMP)
build-stockade-portal: setup-build
	$(SECCOMP) $(CARGO) rustc --release --locked -p stockade --no-default-features --features session \
		--bin stockade-portal -- $(STATIC_WITH_SECCOMP)
build-stockade-helper: setup-build
	$(CARGO) rustc --release --locked -p stockade-helper --bin stockade-helper -- $(STATIC)
	packaging/check-static $(BUILD)/stockade-helper

build-tests: build
	$(CARGO) build --release --locked -p stockade-tests --bins

build-bench: build setup-bench
	$(CARGO) build --release --locked -p stockade-bench --bin stockade-pair --bin stockade-record
	$(CARGO) rustc --release --locked -p stockade-bench --bin stockade-launch-bench -- $(STATIC)

demo: build
	BUILD=$(BUILD) packaging/demo

check: setup
	.ci/check

# The end-to-end tests where ordinary users may not have user namespaces.
check-kernel-%: setup build-tests
	STOCKADE_BUILD_DIR=$(BUILD) tests/kernel/suite $*

# The same on every kernel that counts, in about a quarter of an hour.
check-kernels: setup build-tests
	STOCKADE_BUILD_DIR=$(BUILD) tests/kernel/matrix

# Flatpak applications on kernel VERSION, where Flatpak cannot run them.
check-applications-%: setup-flatpak setup build
	STOCKADE_BUILD_DIR=$(BUILD) tests/kernel/applications $*

# The AppArmor profiles of packaging/apparmor.
check-profiles: setup build-tests
	for version in 6.1 6.12 newest; do STOCKADE_BUILD_DIR=$(BUILD) tests/kernel/profiles $$version || exit; done

# Two hundred sandboxes at once, ten thousand one after the other, in each mode.
check-load: setup build-tests
	STOCKADE_BUILD_DIR=$(BUILD) tests/run load::crowd load::succession

# Takes each protection out of the programs in turn: the tests of the threat catalogue have to notice.
check-weakened: setup
	tests/run-weakened

# Programs that call bubblewrap, over stockade-bwrap. One of them is fetched with npm.
check-callers: setup setup-callers build
	STOCKADE_BUILD_DIR=$(BUILD) tests/compat/callers

# `flatpak run` and `stockade run` with the same applications, which are made from programs of this
# machine: what they see, statuses, mistakes; their documents, and the commands about documents and
# permissions; then how long each takes.
check-flatpak: setup-flatpak build
	STOCKADE_BUILD_DIR=$(BUILD) tests/flatpak/compare
	STOCKADE_BUILD_DIR=$(BUILD) tests/flatpak/cases
	STOCKADE_BUILD_DIR=$(BUILD) tests/flatpak/documents
	STOCKADE_BUILD_DIR=$(BUILD) tests/portals/documents
	STOCKADE_BUILD_DIR=$(BUILD) tests/portals/permissions
	STOCKADE_BUILD_DIR=$(BUILD) tests/portals/session-helper
	STOCKADE_BUILD_DIR=$(BUILD) tests/portals/spawn
# Applications of both with the real portals, documents and a message bus: what each may, and what happens when
# one of them ends.
check-portals: setup-flatpak build
	STOCKADE_BUILD_DIR=$(BUILD) tests/portals/compare
	STOCKADE_BUILD_DIR=$(BUILD) tests/portals/killed
# A text editor opens a file with the file chooser, on a screen that nobody sees. Pictures of it go to PICTURES.
show-portals: setup-show build
	STOCKADE_BUILD_DIR=$(BUILD) PICTURES=$(PICTURES) tests/portals/show
bench-flatpak: setup-flatpak build
	STOCKADE_BUILD_DIR=$(BUILD) tests/flatpak/bench

bench: build-bench
	BUILD=$(BUILD) benches/run $(BENCH)

# RUNS command lines that nobody would type; the number of one is enough to see it again.
fuzz-args: setup-build
	$(SECCOMP) CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true STOCKADE_FUZZ=$(RUNS) \
		$(CARGO) test --release --locked -p stockade --lib fuzz:: -- --nocapture

# The same for messages to the helper.
fuzz-decoder: setup-build
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true STOCKADE_FUZZ=$(RUNS) \
		$(CARGO) test --release --locked -p stockade-protocol --test fuzz -- --nocapture

install:
	BUILD=$(BUILD) DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) HELPER_MODE=$(HELPER_MODE) APPARMOR=$(APPARMOR) \
		packaging/install.sh
uninstall:
	DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) packaging/install.sh --remove

clean:
	$(CARGO) clean
