# SPDX-License-Identifier: GPL-2.0-or-later
#
# make demo        installs what is missing, builds, boots real Xen, shows a guest leaving nothing
# make test        installs what is missing, then everything below; ends with "N passed, N failed"
# make             builds the programs into build/
# make check       unit tests, then the production programs on stand-ins with the real xenstored
# make fuzz        every fuzz target for FUZZ_SECONDS (30)
# make check-serve the NBD door with its real clients
# make check-xen   real Xen (under QEMU where the host is not Xen); CASES="smoke pvh", LONG=1
# make coverage    what unit tests reach of the code a guest's requests pass through; fails below the bound
# make check-docs  man pages, --help and README agree
# make lint        include arrows, formatting, sizes, shell
# make bench       our NBD door beside its peers
# make deps        only installs what is missing
# make install     DESTDIR=, PREFIX=
#
# SANITIZE=address or thread builds into build-address/ or build-thread/.  V=1 shows commands.

PREFIX  ?= /usr
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
        qemu-system-x86 qemu-utils mmdebstrap e2fsprogs cpio kmod busybox-static xz-utils fio \
        nbdkit libnbd-bin python3 perl procps util-linux

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
            dom0-tools/audit*.c dom0-tools/client.c) xenstore-glue/xs.c xenstore-glue/paths.c)
HELPER := $(patsubst %.c,$(B)/obj/%.o,dom0-tools/block-ephem.c dom0-tools/client.c \
            xenstore-glue/xs.c xenstore-glue/paths.c)
# The operator's tools open no bases and no pools.
TALK   := $(filter-out $(B)/obj/common/store%.o,$(COMMON))
$(CTL) $(HELPER): CPPFLAGS += -Ixenstore-glue

PROGRAMS := blkback-ephem blkback-ephemd ephemctl block-ephem

all: $(addprefix $(B)/,$(PROGRAMS))

LIBS_blkback-ephem  := -lxengnttab -lxenevtchn -lcrypto -laio -llz4 -lblkid -lseccomp
LIBS_blkback-ephemd := -lxenstore -lxenevtchn -ljansson -linih -lblkid
LIBS_ephemctl       := -lxenstore -ljansson
LIBS_block-ephem    := -lxenstore -ljansson

$(B)/blkback-ephem: $(DATA) $(COMMON)
$(B)/blkback-ephemd: $(GLUE) $(COMMON)
$(B)/ephemctl: $(CTL) $(TALK)
$(B)/block-ephem: $(HELPER) $(TALK)
$(addprefix $(B)/,$(PROGRAMS)):
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_$(@F))

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -c -o $@ $<

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/tests/*/*.d)

# Unit tests: CUnit, production objects but for main and what a test replaces.
UNIT := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/unit/*.c))
UNIT_REPLACED := main guest serve aio hv
UNIT_WRAP     := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=pthread_mutex_unlock,--wrap=loop_timer_set,--wrap=ring_arm,--wrap=EVP_CipherUpdate,--wrap=EVP_CIPHER_CTX_ctrl
UNIT_OBJECTS := $(filter-out $(addprefix $(B)/obj/blkback-ephem/,$(addsuffix .o,$(UNIT_REPLACED))),$(DATA)) \
                $(addprefix $(B)/obj/xenstore-glue/,paths.o xenbus.o keys.o rules.o rules_files.o extent_map.o \
                reclaim.o process.o suspend_watch.o stubdom.o tombstone.o cgroup.o life_limits.o) \
                $(addprefix $(B)/obj/dom0-tools/,audit_proc.o audit_words.o)
$(UNIT): CPPFLAGS += -Iblkback-ephem -Ixenstore-glue -Idom0-tools
$(B)/unit: $(UNIT) $(UNIT_OBJECTS) $(COMMON) $(addprefix $(B)/obj/tests/forensic/,aes.o needles.o)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(UNIT_WRAP) -o $@ $^ -lcunit $(LIBS_blkback-ephem) -lxenstore -linih

include tests/forensic/rules.mk
include tests/fakexen/rules.mk
include tests/fuzz/rules.mk

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

check-serve: all
	$(ROOT) env B=$(B) tests/serve/run.sh

check-xen: all all-fakexen all-forensic
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

BENCH_OBJECTS := $(filter-out $(addprefix $(B)/obj/blkback-ephem/,$(addsuffix .o,main serve guest \
                 guest_bases guest_doors guest_extents guest_link guest_nbd guest_volumes)),$(DATA))
$(B)/obj/bench/%.o: CPPFLAGS += -Iblkback-ephem
$(B)/bench/first-touch: $(B)/obj/bench/first_touch.o
$(B)/bench/requests: $(B)/obj/bench/requests.o
$(B)/bench/requests: WRAP := -Wl,--wrap=mlock2
$(B)/bench/first-touch $(B)/bench/requests: $(B)/obj/bench/kit.o $(BENCH_OBJECTS) $(COMMON)
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(WRAP) -o $@ $^ $(LIBS_blkback-ephem)

$(B)/bench/tags: $(B)/obj/bench/tags.o
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ -lcrypto

bench: all $(addprefix $(B)/bench/,first-touch requests tags)
	bench/serve.sh
	bench/first-touch.sh
	bench/integrity.sh
	$(B)/bench/tags

install: all
	install -D -m 755 $(B)/blkback-ephem $(DESTDIR)$(PREFIX)/libexec/blkback-ephem/blkback-ephem
	install -D -m 755 $(B)/blkback-ephemd $(DESTDIR)$(PREFIX)/sbin/blkback-ephemd
	install -D -m 755 $(B)/ephemctl $(DESTDIR)$(PREFIX)/sbin/ephemctl
	install -D -m 644 dom0-tools/systemd/blkback-ephemd.service $(DESTDIR)$(PREFIX)/lib/systemd/system/blkback-ephemd.service
	install -D -m 755 $(B)/block-ephem $(DESTDIR)/etc/xen/scripts/block-ephem
	for page in docs/*.[58]; do install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done
	install -D -m 644 docs/service-qube.cfg $(DESTDIR)$(PREFIX)/share/doc/blkback-ephem/examples/service-qube.cfg
	install -d -m 755 $(DESTDIR)/etc/blkback-ephem/domains
	[ -e $(DESTDIR)/etc/blkback-ephem/blkback-ephem.conf ] || \
		install -m 644 dom0-tools/blkback-ephem.conf $(DESTDIR)/etc/blkback-ephem/blkback-ephem.conf

clean:
	rm -rf build build-address build-thread build-coverage build-fuzz

.DEFAULT_GOAL := all
.PHONY: all deps check-unit check coverage check-docs check-serve check-xen demo test lint format bench install clean
