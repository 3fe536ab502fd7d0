# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the stand-ins for Xen's libraries and the programs of tests/fakexen and tests/sim:
#   $(B)/tests/fakexen/   the libraries, for LD_LIBRARY_PATH, and xsdopen.so
#   $(B)/tests/           fxctl guestxs conformance fxfront toolstack fakeworker inject without hostile
# To be included by the top Makefile, or alone: make -f tests/fakexen/rules.mk all-fakexen
#
# The real xenstored loads these libraries too, so -fsanitize options are taken out of CFLAGS unless
# FX_SANITIZE=1; a sanitised program runs well on plain libraries. Programs are linked to Debian's
# libxen*, LD_LIBRARY_PATH decides at run time.

B ?= build
FX := $(B)/tests/fakexen
FXSRC := tests/fakexen
SIMSRC := tests/sim
FX_WARN := -Wall -Wextra -Wshadow -Wconversion -Wimplicit-fallthrough -Wvla -Werror
FX_SANITIZE ?= 0
FX_FLAGS := $(if $(filter 1,$(FX_SANITIZE)),$(CFLAGS),$(filter-out -fsanitize%,$(CFLAGS)))
FX_CFLAGS := -std=gnu11 -O2 -g -pthread $(FX_WARN) $(FX_FLAGS)

FX_LIBS := libfakexen.so libxenevtchn.so.1 libxengnttab.so.1 libxencall.so.1 \
           libxenforeignmemory.so.1 xsdopen.so slowaio.so fakecgroup.so careless.so
FX_PROGRAMS := fxctl guestxs conformance fxfront toolstack fakeworker inject without hostile xlagree
HOSTILE := tests/hostile
SIM_FRONT := main.c command.c handshake.c ring.c verify.c raw.c crash.c data.c

all-fakexen: $(addprefix $(FX)/,$(FX_LIBS)) $(addprefix $(B)/tests/,$(FX_PROGRAMS))

check-fakexen: all-fakexen
	B=$(B) $(SIMSRC)/test_fakexen.sh

$(FX):
	@mkdir -p $@

$(FX)/libfakexen.so: $(addprefix $(FXSRC)/,hv.c ports.c grants.c hv.h) | $(FX)
	$(Q)$(CC) $(FX_CFLAGS) -fPIC -shared -Wl,-soname,libfakexen.so -o $@ $(filter %.c,$^)

FX_DEPS := $(FXSRC)/hv.h $(FX)/libfakexen.so
fx_lib = $(CC) $(FX_CFLAGS) -fPIC -shared -Wl,-soname,$(@F) -o $@ $(filter %.c,$^) \
	-Wl,--version-script=$(filter %.map,$^) -L$(FX) -lfakexen -Wl,-rpath,'$$ORIGIN'

$(FX)/libxenevtchn.so.1: $(FXSRC)/evtchn.c $(FXSRC)/evtchn.map $(FX_DEPS)
	$(Q)$(fx_lib)
$(FX)/libxengnttab.so.1: $(FXSRC)/gnttab.c $(FXSRC)/gntshr.c $(FXSRC)/root.c \
		$(FXSRC)/gnttab.map $(FXSRC)/gnttab.h $(FX_DEPS)
	$(Q)$(fx_lib)
$(FX)/libxencall.so.1: $(FXSRC)/call.c $(FXSRC)/call.map $(FX_DEPS)
	$(Q)$(fx_lib)
$(FX)/libxenforeignmemory.so.1: $(FXSRC)/foreignmemory.c $(FXSRC)/foreignmemory.map $(FX_DEPS)
	$(Q)$(fx_lib)
$(FX)/xsdopen.so: $(FXSRC)/xsdopen.c | $(FX)
	$(Q)$(CC) $(FX_CFLAGS) -fPIC -shared -o $@ $<
$(FX)/slowaio.so $(FX)/fakecgroup.so $(FX)/careless.so: $(FX)/%.so: $(SIMSRC)/%.c | $(FX)
	$(Q)$(CC) $(FX_CFLAGS) -Icommon -fPIC -shared -o $@ $<

fx_own = -L$(FX) -lfakexen -Wl,-rpath,'$$ORIGIN/fakexen'

$(B)/tests/fxctl: $(FXSRC)/fxctl.c $(FX_DEPS)
	$(Q)$(CC) $(FX_CFLAGS) -o $@ $< $(fx_own)
$(B)/tests/guestxs: $(addprefix $(FXSRC)/,guestxs.c guestxs_client.c guestxs_mux.c guestxs_ring.c guestxs.h) $(FX_DEPS)
	$(Q)$(CC) $(FX_CFLAGS) -o $@ $(filter %.c,$^) $(fx_own) -lxenevtchn -lxenstore
$(B)/tests/conformance: $(addprefix $(FXSRC)/,conformance.c conformance_grants.c conformance.h) \
		| $(FX)
	$(Q)$(CC) $(FX_CFLAGS) -o $@ $(filter %.c,$^) -lxenevtchn -lxengnttab
$(B)/tests/fxfront: $(addprefix $(SIMSRC)/front/,$(SIM_FRONT) front.h) | $(FX)
	$(Q)$(CC) $(FX_CFLAGS) -o $@ $(filter %.c,$^) -lxenevtchn -lxengnttab -lxenstore
# What a frontend needs is fxfront's; it runs on the stand-ins and in a guest of real Xen alike.
$(B)/tests/hostile: $(wildcard $(HOSTILE)/*.c) $(addprefix $(SIMSRC)/front/,handshake.c ring.c data.c) \
		$(HOSTILE)/hostile.h $(SIMSRC)/front/front.h | $(FX)
	$(Q)$(CC) $(FX_CFLAGS) -I$(SIMSRC)/front -o $@ $(filter %.c,$^) \
		-lxenevtchn -lxengnttab -lxenstore
$(B)/tests/toolstack: $(addprefix $(SIMSRC)/,toolstack.c toolstack_disk.c toolstack.h) | $(FX)
	$(Q)$(CC) $(FX_CFLAGS) -o $@ $(filter %.c,$^) -lxenstore
$(B)/tests/fakeworker: $(SIMSRC)/fakeworker.c common/wire.c common/wire.h | $(FX)
	$(Q)$(CC) $(FX_CFLAGS) -D_GNU_SOURCE -Icommon -o $@ $(filter %.c,$^)
$(B)/tests/inject $(B)/tests/without: $(B)/tests/%: $(SIMSRC)/%.c | $(FX)
	$(Q)$(CC) $(FX_CFLAGS) -o $@ $< -lseccomp

# xl's own parser beside ours; its soname belongs to one Xen release, so nothing else links it.
$(B)/tests/xlagree: $(addprefix $(SIMSRC)/,xlagree.c) dom0-tools/xlcfg.c dom0-tools/xldisk.c \
		common/util.c dom0-tools/xlcfg.h dom0-tools/xldisk.h | $(FX)
	$(Q)$(CC) $(FX_CFLAGS) -D_GNU_SOURCE -Icommon -Idom0-tools -o $@ $(filter %.c,$^) -lxlutil -lxenlight

.PHONY: all-fakexen check-fakexen
