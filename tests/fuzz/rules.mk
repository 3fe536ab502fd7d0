# SPDX-License-Identifier: GPL-2.0-or-later
#
# rules.mk: the fuzz targets, always with clang's libFuzzer and both sanitizers, in build-fuzz/.
# TARGET_OBJECTS are the files one is made of besides tests/fuzz/TARGET.c.

F := build-fuzz
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 30
FUZZ_TARGETS := ring xenstore xenbus life nbd wire wire_worker wire_daemon control ephemctl
FUZZ_CHECKS := -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_FLAGS := -O2 -g -fno-omit-frame-pointer $(WARN) -MMD -MP -pthread
# The scenery: neither checked nor looked at for coverage, so that time goes into production code.
FUZZ_SCENERY := $(patsubst %,$(F)/obj/tests/%.o,fuzz/kernel fuzz/model fuzz/cunit fuzz/ringview fuzz/keysview \
                  unit/rig unit/fake_aio unit/fake_hv unit/unit unit/ringkit unit/packet)
$(FUZZ_SCENERY): FUZZ_CHECKS :=
$(FUZZ_SCENERY): FUZZ_COVERAGE :=
FUZZ_COVERAGE := -fsanitize=fuzzer-no-link
# It compares 65536 domids at every RESUME: to trace those would take most of the time.
$(F)/obj/blkback-ephem/guest_volumes.o: FUZZ_COVERAGE += -fno-sanitize-coverage=trace-cmp
FUZZ_INCLUDE := -std=c11 -D_GNU_SOURCE -DVERSION='"fuzz"' -Icommon -Iblkback-ephem -Ixenstore-glue -Idom0-tools \
                -Itests/unit -Itests/fuzz

FUZZ_ring := tests/fuzz/ringview.c blkback-ephem/ring.c
FUZZ_xenstore := tests/fuzz/keysview.c xenstore-glue/keys.c xenstore-glue/paths.c xenstore-glue/rules.c \
                 blkback-ephem/stubdom/words.c common/util.c $(wildcard common/store*.c)
FUZZ_LIBS_xenstore := -linih -lblkid
FUZZ_xenbus := xenstore-glue/xenbus.c
FUZZ_wire := common/wire.c tests/unit/packet.c

# The data plane on fakes of its disks and of the hypervisor, turned by hand; see world.h and kernel.h.
FUZZ_WORLD := $(addprefix tests/fuzz/,world.c model.c cunit.c kernel.c turn_thread.c turn_keeper.c) \
              $(addprefix tests/unit/,rig.c fake_aio.c unit.c) \
              $(addprefix common/,log.c loop.c util.c) \
              $(addprefix blkback-ephem/,arena.c cipher.c extent.c index.c key.c lane.c lane_seal.c limit.c mailbox.c memfile.c node.c \
                overlay.c pack.c pool.c pool_block.c pool_dir.c pool_shared.c pool_stats.c press.c seal.c secret.c slots.c sweep.c tier.c volume.c \
                volume_base.c volume_grow.c volume_io.c)
FUZZ_KERNEL_LIBS := $(foreach f,clock_gettime eventfd read write close readv send sendmsg epoll_create1 \
                      epoll_ctl epoll_wait epoll_pwait2 accept4 recv getsockopt fcntl pthread_cond_wait,-Wl,--wrap=$(f)) -lcrypto -llz4
FUZZ_life := $(FUZZ_WORLD) $(addprefix tests/fuzz/,front.c front_step.c ringview.c) \
             $(addprefix tests/unit/,fake_hv.c ringkit.c) $(addprefix blkback-ephem/,pump.c queue.c request.c ring.c)
FUZZ_LIBS_life := $(FUZZ_KERNEL_LIBS)

FUZZ_nbd := $(FUZZ_WORLD) $(addprefix tests/fuzz/,client.c client_step.c) \
            $(addprefix blkback-ephem/,nbd.c nbd_conn.c nbd_handshake.c nbd_reply.c nbd_request.c nbd_share.c)
FUZZ_LIBS_nbd := $(FUZZ_KERNEL_LIBS)

FUZZ_wire_worker := $(filter-out tests/fuzz/world.c tests/fuzz/model.c tests/unit/rig.c,$(FUZZ_WORLD)) \
                    tests/fuzz/wire_client.c tests/fuzz/wire_make.c tests/fuzz/wire_start.c tests/fuzz/no_undertaker.c \
                    tests/unit/fake_hv.c \
                    $(addprefix blkback-ephem/,engine.c door.c pump.c queue.c request.c ring.c guest_bases.c guest_doors.c \
                      guest_extents.c guest_link.c guest_nbd.c guest_volumes.c \
                      nbd.c nbd_conn.c nbd_handshake.c nbd_reply.c nbd_request.c nbd_share.c)
FUZZ_LIBS_wire_worker := $(FUZZ_KERNEL_LIBS)

# The control plane on fakes of xenstore and processes; see glue_fakes.h.
FUZZ_GLUE := $(addprefix tests/fuzz/,glue_fakes.c kernel.c wire_start.c) $(addprefix common/,log.c loop.c util.c) \
             $(wildcard common/store*.c) \
             $(filter-out $(addprefix xenstore-glue/,main.c scan.c xs.c evtchn.c process.c claim.c domains.c mark.c),\
               $(wildcard xenstore-glue/*.c))
FUZZ_wire_daemon := $(filter-out xenstore-glue/worker.c xenstore-glue/takeover.c,$(FUZZ_GLUE))
FUZZ_LIBS_wire_daemon := $(FUZZ_KERNEL_LIBS) -ljansson -linih -lblkid

FUZZ_control := $(filter-out xenstore-glue/control.c xenstore-glue/worker.c,$(FUZZ_GLUE))
FUZZ_LIBS_control := $(FUZZ_LIBS_wire_daemon)
# Those that begin with the daemon's answer; others look at xenstore, or ask nobody.
FUZZ_ephemctl := $(addprefix dom0-tools/,client.c metrics.c rates.c) common/util.c \
                 $(addprefix dom0-tools/cmd_,forget.c list.c metrics.c pool.c refresh.c status.c top.c)
FUZZ_LIBS_ephemctl := -Wl,--wrap=connect,--wrap=send,--wrap=recv -ljansson

fuzz_objects = $(patsubst %.c,$(F)/obj/%.o,tests/fuzz/$(1).c $(FUZZ_$(1)))
FUZZ_PROGRAMS := $(addprefix $(F)/,$(FUZZ_TARGETS))

$(F)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(FUZZ_CC) $(FUZZ_INCLUDE) $(FUZZ_COVERAGE) $(FUZZ_CHECKS) $(FUZZ_FLAGS) -c -o $@ $<

define fuzz_link
$(F)/$(1): $(call fuzz_objects,$(1))
	@echo "LD $$@"
	$$(Q)$$(FUZZ_CC) -fsanitize=fuzzer $$(FUZZ_CHECKS) $$(FUZZ_FLAGS) -o $$@ $$^ $$(FUZZ_LIBS_$(1))
endef
$(foreach t,$(FUZZ_TARGETS),$(eval $(call fuzz_link,$(t))))

-include $(wildcard $(F)/obj/*/*.d $(F)/obj/*/*/*.d)

all-fuzz: $(FUZZ_PROGRAMS)

fuzz: all-fuzz
	@tests/fuzz/run.sh $(F) $(FUZZ_SECONDS) $(FUZZ_TARGETS)

.PHONY: all-fuzz fuzz
