# SPDX-License-Identifier: GPL-2.0-or-later
#
# make demo        installs what is missing, builds, boots real Xen, shows a guest leaving nothing
# make test        installs what is missing, then everything below; ends with "N passed, N failed"
# make             builds the programs into build/
# make check       unit tests, then the production programs on stand-ins with the real xenstored
# make fuzz        every fuzz target for FUZZ_SECONDS (30)
# make check-serve the NBD door with its real clients
# make check-xen   real Xen (under QEMU where the host is not Xen); CASES="smoke pvh", LONG=1, BED_SUITE=bookworm (Xen 4.17)
# make coverage    what unit tests reach of the code a guest's requests pass through; fails below the bound
# make check-qubes the Qubes extension on a stand-in; QUBES_CORE_ADMIN=DIR: on that checkout, too
# make check-docs  man pages, --help and README agree
# make lint        include arrows, formatting, sizes, shell
# make stubdom     the storage domain's image, in build/stubdom/; STUBDOM_KERNEL=, STUBDOM_MODULES= of another kernel
# make check-stubdom  two builds of it are the same, and nothing is in it that should not be
# make bench       the ring door under load, and our NBD door beside its peers
# make bench-xen   what a guest gets with the kernel's blkback, qemu and ours, on real Xen, this dom0's or the bed's; BACKENDS="plain dir" some, SCALE=4
# make bench-newer the ring path with the OpenSSL of Debian trixie beside this machine's
# make bench-check whether a request has become dearer, in instructions; UPDATE=1: what is counted becomes the baseline
# make deps        only installs what is missing
# make install     DESTDIR=, PREFIX=, UNITDIR= (of systemd)
# make install-qubes  what dom0 of Qubes OS has besides: extension, libvirt template, qvm-ephemeral
# make deb rpm     packages, in build/packages/
# make check-packages  builds them, looks at them, installs, upgrades and removes them in a copy of this root
#
# SANITIZE=address or thread builds into build-address/ or build-thread/.  V=1 shows commands.

PREFIX  ?= /usr
# Debian 12 has them in /lib.
UNITDIR ?= $(PREFIX)/lib/systemd/system
# The one that Debian's packages, or dom0's, are for.
PYTHON  ?= /usr/bin/python3
SANITIZE ?=
B       := build$(if $(SANITIZE),-$(SANITIZE))
CC      ?= gcc
# A worker's memory and descriptors can be looked at by root only, as tests do.
ROOT    := $(if $(filter-out 0,$(shell id -u)),sudo -E)
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo 0.1)
Q       := $(if $(V),,@)

# Everything the project needs to be built, tested and shown, as Debian packages.
DEPS := gcc make pkg-config git libxen-dev xenstore-utils libssl-dev libaio-dev liblz4-dev libjansson-dev \
        libinih-dev libblkid-dev libseccomp-dev libcunit1-dev clang clang-format libclang-rt-dev valgrind shellcheck mandoc jq \
        qemu-system-x86 qemu-utils mmdebstrap e2fsprogs cpio kmod busybox-static xz-utils zstd fio \
        nbdkit libnbd-bin gnuplot-nox python3 perl procps util-linux \
        python3-jinja2 python3-setuptools pyflakes3 pycodestyle \
        debhelper lintian rpm rpmlint systemd
# What code of Qubes' own needs to be imported.
DEPS_QUBES := python3-lxml python3-libvirt python3-docutils python3-pyinotify python3-yaml
QUBES_BUILD := $(CURDIR)/build/qubes

WARN := -Wall -Wextra -Wshadow -Wconversion -Wimplicit-fallthrough -Wvla -Werror
HARD := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
OPT  := -O2 -g
ifeq ($(SANITIZE),address)
OPT  := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
HARD := -fPIE
endif
ifeq ($(SANITIZE),thread)
OPT  := -O1 -g -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan
HARD := -fPIE
endif
CPPFLAGS_ALL  = -std=c11 -D_GNU_SOURCE -Icommon -DVERSION='"$(VERSION)"' $(CPPFLAGS)
CFLAGS_ALL   := $(OPT) $(HARD) $(WARN) -MMD -MP -pthread $(CFLAGS)
LDFLAGS_ALL  := -pie -Wl,-z,relro,-z,now -pthread $(LDFLAGS)

COMMON := $(patsubst %.c,$(B)/obj/%.o,$(wildcard common/*.c))
DATA   := $(patsubst %.c,$(B)/obj/%.o,$(wildcard blkback-ephem/*.c))
GLUE   := $(patsubst %.c,$(B)/obj/%.o,$(wildcard xenstore-glue/*.c))
CTL    := $(patsubst %.c,$(B)/obj/%.o,$(wildcard dom0-tools/ephemctl.c dom0-tools/cmd_*.c \
            dom0-tools/audit*.c dom0-tools/client.c dom0-tools/convert.c dom0-tools/disk_find.c \
            dom0-tools/metrics.c dom0-tools/own_rules.c dom0-tools/plug*.c dom0-tools/rates.c \
            dom0-tools/rules_edit.c dom0-tools/storage.c dom0-tools/stubdom*.c dom0-tools/textfile.c dom0-tools/xl*.c) \
            $(addprefix xenstore-glue/,frontend.c xs.c paths.c rules.c rules_files.c stubdom.c))
HELPER := $(patsubst %.c,$(B)/obj/%.o,dom0-tools/block-ephem.c dom0-tools/client.c \
            xenstore-glue/xs.c xenstore-glue/paths.c)
# The operator's tools open no bases and no pools, but look at them before a storage domain gets them.
TALK   := $(filter-out $(B)/obj/common/store%.o,$(COMMON))
$(CTL) $(HELPER): CPPFLAGS += -Ixenstore-glue

# libxenctrl's soname belongs to one Xen release: the guard alone links it.  XEN_DEV=DIR takes another
# release's, from DIR/include and DIR/lib; its headers want GNU C.
GUARD  := $(patsubst %.c,$(B)/obj/%.o,$(wildcard dom0-tools/guard*.c) dom0-tools/storage.c \
            $(addprefix xenstore-glue/,xs.c paths.c rules.c rules_files.c stubdom.c))
RULES  := $(TALK) $(addprefix $(B)/obj/common/,store.o store_limits.o store_pool_spec.o store_writers.o)
XEN_DEV ?=
$(GUARD): CPPFLAGS += -Ixenstore-glue
$(B)/obj/dom0-tools/guard_xen.o: CPPFLAGS += -std=gnu11 $(XEN_DEV:%=-isystem %/include)

PROGRAMS := blkback-ephem blkback-ephemd ephemctl block-ephem ephem-guard

all: $(addprefix $(B)/,$(PROGRAMS))

LIBS_blkback-ephem  := -lxengnttab -lxenevtchn -lcrypto -laio -llz4 -lblkid -lseccomp
LIBS_blkback-ephemd := -lxenstore -lxenevtchn -ljansson -linih -lblkid
LIBS_ephemctl       := -lxenstore -ljansson -linih -lblkid
LIBS_block-ephem    := -lxenstore -ljansson
LIBS_ephem-guard    := $(XEN_DEV:%=-L%/lib -Wl,--allow-shlib-undefined) -lxenctrl -lxenstore -linih

$(B)/blkback-ephem: $(DATA) $(COMMON)
$(B)/blkback-ephemd: $(GLUE) $(COMMON)
$(B)/ephemctl: $(CTL) $(RULES) $(addprefix $(B)/obj/common/,store_pool.o store_signature.o)
$(B)/block-ephem: $(HELPER) $(TALK)
$(B)/ephem-guard: $(GUARD) $(RULES)
$(addprefix $(B)/,$(PROGRAMS)):
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_$(@F))

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d)

# Unit tests: CUnit, production objects but for main and what a test replaces.
UNIT := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/unit/*.c))
UNIT_REPLACED := main guest serve aio hv
UNIT_WRAP     := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=pthread_mutex_unlock,--wrap=loop_timer_set,--wrap=ring_arm,--wrap=EVP_CipherUpdate,--wrap=EVP_CIPHER_CTX_ctrl
UNIT_OBJECTS := $(filter-out $(addprefix $(B)/obj/blkback-ephem/,$(addsuffix .o,$(UNIT_REPLACED))),$(DATA)) \
                $(addprefix $(B)/obj/xenstore-glue/,driver.o paths.o xenbus.o keys.o rules.o rules_files.o extent_map.o \
                reclaim.o process.o suspend_watch.o stubdom.o tombstone.o cgroup.o life_limits.o) \
                $(addprefix $(B)/obj/dom0-tools/,audit_proc.o audit_words.o convert.o metrics.o own_rules.o rates.o \
                rules_edit.o storage.o stubdom_bases.o stubdom_cfg.o textfile.o \
                xlcfg.o xldisk.o guard_domain.o guard_judge.o guard_look.o \
                guard_mark.o guard_record.o)
$(UNIT): CPPFLAGS += -Iblkback-ephem -Ixenstore-glue -Idom0-tools
$(B)/unit: $(UNIT) $(UNIT_OBJECTS) $(COMMON) $(addprefix $(B)/obj/tests/forensic/,aes.o needles.o) $(B)/obj/blkback-ephem/stubdom/words.o
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(UNIT_WRAP) -o $@ $^ -lcunit $(LIBS_blkback-ephem) -lxenstore -linih -ljansson

include tests/forensic/rules.mk
include blkback-ephem/stubdom/rules.mk
include tests/fakexen/rules.mk
include tests/fuzz/rules.mk
include bench/rules.mk

deps:
	@tests/deps.sh $(DEPS)

check-unit: $(B)/unit
	$(B)/unit

check: all $(B)/unit all-fakexen all-forensic
	$(ROOT) tests/check.sh $(B)

# Counts are atomic, since tests have threads.
coverage:
	@$(MAKE) --no-print-directory B=build-coverage CC=gcc HARD=-fPIE \
		OPT='-O0 -g --coverage -fprofile-update=atomic' build-coverage/unit
	tests/coverage.sh build-coverage

check-docs: all
	tests/docs.sh $(B)

check-qubes:
	@[ -z "$(QUBES_CORE_ADMIN)" ] || tests/deps.sh $(DEPS_QUBES)
	@QUBES_CORE_ADMIN='$(abspath $(QUBES_CORE_ADMIN))' $(PYTHON) tests/qubes/run.py

check-serve: all
	$(ROOT) env B=$(B) tests/serve/run.sh

check-xen: all all-fakexen all-forensic $(if $(filter storage% bench all,$(CASES)),stubdom stubdom-forensic)
	tests/bed/bed.sh $(CASES)

demo: deps
	@$(MAKE) --no-print-directory all
	@tests/bed/demo.sh

test: deps
	@tests/all.sh

lint:
	tests/lint.sh

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

# Beside another PREFIX the units, and what they start, have to be told.
LIBEXEC  = $(PREFIX)/libexec/blkback-ephem
MOVED    = s,/usr/sbin/ephem-guard,$(PREFIX)/sbin/ephem-guard,; \
           s,/usr/sbin/blkback-ephemd,$(PREFIX)/sbin/blkback-ephemd --worker $(LIBEXEC)/blkback-ephem,

# libxl's scripts are in /etc, where a package has no programs: a link.
install: all
	install -D -m 755 $(B)/blkback-ephem $(DESTDIR)$(LIBEXEC)/blkback-ephem
	install -D -m 755 $(B)/block-ephem $(DESTDIR)$(LIBEXEC)/block-ephem
	install -d -m 755 $(DESTDIR)/etc/xen/scripts $(DESTDIR)/etc/blkback-ephem/domains
	ln -sfn $(LIBEXEC)/block-ephem $(DESTDIR)/etc/xen/scripts/block-ephem
	for program in blkback-ephemd ephemctl ephem-guard; do \
		install -D -m 755 $(B)/$$program $(DESTDIR)$(PREFIX)/sbin/$$program || exit; done
	install -D -m 755 packaging/serving $(DESTDIR)$(PREFIX)/share/blkback-ephem/serving
	for unit in blkback-ephemd ephem-guard; do \
		install -D -m 644 dom0-tools/systemd/$$unit.service $(DESTDIR)$(UNITDIR)/$$unit.service || exit; done
	[ $(PREFIX) = /usr ] || sed -i '$(MOVED)' $(DESTDIR)$(UNITDIR)/blkback-ephemd.service $(DESTDIR)$(UNITDIR)/ephem-guard.service
	install -D -m 644 packaging/blkback-ephem.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/blkback-ephem.conf
	install -D -m 644 packaging/blkback-ephem.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/blkback-ephem.conf
	for page in docs/*.[58]; do \
		install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit; done
	install -D -m 644 dom0-tools/ephemctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ephemctl
	install -D -m 644 docs/service-qube.cfg $(DESTDIR)$(PREFIX)/share/doc/blkback-ephem/examples/service-qube.cfg
	install -D -m 644 docs/libvirt-hook $(DESTDIR)$(PREFIX)/share/doc/blkback-ephem/examples/libvirt-hook
	[ -e $(DESTDIR)/etc/blkback-ephem/blkback-ephem.conf ] || \
		install -m 644 dom0-tools/blkback-ephem.conf $(DESTDIR)/etc/blkback-ephem/blkback-ephem.conf

# setup.py leaves nothing beside the sources.  Where modules belong is the Python's of dom0 to say, or PYTHON_SITE.
install-qubes:
	mkdir -p $(QUBES_BUILD)
	cd dom0-tools/qubes && $(PYTHON) -W ignore setup.py -q egg_info --egg-base $(QUBES_BUILD) \
		build --build-base $(QUBES_BUILD) install -O1 --root $(abspath $(or $(DESTDIR),/)) \
		$(PYTHON_SITE:%=--install-lib %) --single-version-externally-managed --record $(QUBES_BUILD)/installed
	install -D -m 755 dom0-tools/qubes/qvm-ephemeral $(DESTDIR)$(PREFIX)/bin/qvm-ephemeral
	install -D -m 644 dom0-tools/qubes/templates/libvirt/xen-dist.xml \
		$(DESTDIR)$(PREFIX)/share/qubes/templates/libvirt/xen-dist.xml
	install -D -m 644 docs/qvm-ephemeral.1 $(DESTDIR)$(PREFIX)/share/man/man1/qvm-ephemeral.1
	install -D -m 644 packaging/75-blkback-ephem.preset \
		$(DESTDIR)$(PREFIX)/lib/systemd/system-preset/75-blkback-ephem.preset
	install -D -m 644 packaging/qubes-vm.conf $(DESTDIR)$(UNITDIR)/qubes-vm@.service.d/50-blkback-ephem.conf

# Packages, from what git has or would have, in build/packages/.  DEB_BUILD_OPTIONS=nocheck: without unit tests.
deb:
	packaging/build.sh deb
rpm:
	packaging/build.sh rpm

check-packages:
	DEB_BUILD_OPTIONS=nocheck packaging/build.sh deb rpm
	$(ROOT) tests/packages.sh

clean:
	rm -rf build build-address build-thread build-coverage build-fuzz

.DEFAULT_GOAL := all
.PHONY: all deps check-unit check coverage check-docs check-qubes check-serve check-xen demo test lint format bench install install-qubes deb rpm check-packages clean
