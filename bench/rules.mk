# SPDX-License-Identifier: GPL-2.0-or-later
#
# What `make bench` is made of, in $(B)/bench/; to be included by the top Makefile.

BENCH_OBJECTS := $(filter-out $(addprefix $(B)/obj/blkback-ephem/,$(addsuffix .o,main serve hv guest \
                 guest_bases guest_doors guest_extents guest_link guest_nbd guest_volumes)),$(DATA))
$(B)/obj/bench/%.o: CPPFLAGS += -Iblkback-ephem
$(B)/bench/first-touch: $(B)/obj/bench/first_touch.o
$(B)/bench/requests: $(B)/obj/bench/requests.o
$(B)/bench/ring-path: $(B)/obj/bench/ring_path.o
$(B)/bench/requests $(B)/bench/ring-path: WRAP := -Wl,--wrap=mlock2
$(B)/bench/first-touch $(B)/bench/requests: $(B)/obj/blkback-ephem/hv.o
$(B)/bench/first-touch $(B)/bench/requests $(B)/bench/ring-path: $(B)/obj/bench/kit.o $(BENCH_OBJECTS) $(COMMON)
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(WRAP) -o $@ $^ $(LIBS_blkback-ephem)

$(B)/bench/tags: $(B)/obj/bench/tags.o
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ -lcrypto

# What a frontend needs is fxfront's.
$(B)/bench/ring-load: $(addprefix bench/,ring_load.c ring_queue.c ring_load.h) \
		$(addprefix $(SIMSRC)/front/,handshake.c ring.c data.c front.h) | $(FX)
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)$(CC) $(FX_CFLAGS) -I$(SIMSRC)/front -o $@ $(filter %.c,$^) \
		-lxenevtchn -lxengnttab -lxenstore

$(B)/bench/limits: $(B)/obj/bench/limits.o
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ -lcrypto -laio -lxengnttab

# Bound to a release of Xen by libxenctrl, see the top Makefile's XEN_DEV
$(B)/obj/bench/xen_watch.o: CPPFLAGS += -std=gnu11 $(XEN_DEV:%=-isystem %/include)
$(B)/bench/xen-watch: $(B)/obj/bench/xen_watch.o
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(XEN_DEV:%=-L%/lib -Wl,--allow-shlib-undefined) -lxenctrl

BENCHES := xen-watch limits first-touch requests ring-path tags ring-load

bench: all all-fakexen $(addprefix $(B)/bench/,$(BENCHES))
	bench/ring.sh
	bench/serve.sh
	bench/first-touch.sh
	bench/integrity.sh
	$(B)/bench/tags
	bench/pictures.sh $(B)/bench

# Instructions of a request, beside bench/baselines.json or the commit before.
bench-check: $(B)/bench/ring-path
	B=$(B) bench/check.sh

# On real Xen, beside the kernel's blkback
bench-xen:
	B=$(B) bench/xen.sh
	bench/pictures.sh $(B)/bench

# With the libcrypto of a newer Debian
bench-newer:
	B=$(B) bench/newer.sh

.PHONY: bench bench-check bench-newer bench-xen
