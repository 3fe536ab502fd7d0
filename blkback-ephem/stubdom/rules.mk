# SPDX-License-Identifier: GPL-2.0-or-later
#
# The storage domain's image, in $(B)/stubdom; and for tests one with the worker that tells its key, in $(B)/tests/stubdom.

STUBDOM := $(patsubst %.c,$(B)/obj/%.o,$(wildcard blkback-ephem/stubdom/*.c))
STUBDOM_BUILD := blkback-ephem/stubdom/build.sh

$(B)/stubdom/init: $(STUBDOM)
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^

stubdom: $(B)/stubdom/init $(B)/blkback-ephem $(B)/blkback-ephemd
	$(STUBDOM_BUILD) $(B) $(B)/stubdom

stubdom-forensic: $(B)/stubdom/init $(B)/blkback-ephemd $(FORENSIC_WORKER)
	STUBDOM_WORKER=$(FORENSIC_WORKER) $(STUBDOM_BUILD) $(B) $(B)/tests/stubdom

# From $(B)/stubdom, which `make stubdom` has made
install-stubdom:
	install -D -m 644 $(B)/stubdom/vmlinuz $(DESTDIR)$(PREFIX)/lib/blkback-ephem/stubdom/vmlinuz
	install -D -m 644 $(B)/stubdom/initramfs $(DESTDIR)$(PREFIX)/lib/blkback-ephem/stubdom/initramfs

check-stubdom:
	tests/stubdom.sh

.PHONY: stubdom stubdom-forensic install-stubdom check-stubdom
