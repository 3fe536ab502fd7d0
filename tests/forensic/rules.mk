# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds what the forensic case needs:
#   $(B)/tests/memscan                  searches dumps of memory and disk images, on the host
#   $(B)/tests/frames                   tells whose a machine frame is, in dom0
#   $(B)/tests/forensic/blkback-ephem   the worker as it is, with a key_open() in front that tells its key
#   $(B)/tests/leaky/blkback-ephem      that, but it wipes nothing, and leaves its key and plaintext in memory
#   $(B)/tests/wrong/blkback-ephem      the worker as it is, with a libcrypto that is wrong when told so
# They take the production worker's objects as they are, which can do none of this.

FORENSIC := $(addprefix $(B)/obj/tests/forensic/,aes.o needles.o)
FORENSIC_WORKER := $(B)/tests/forensic/blkback-ephem
LEAKY_WORKER := $(B)/tests/leaky/blkback-ephem
WRONG_WORKER := $(B)/tests/wrong/blkback-ephem
LEAKY_WRAP := key_open cipher_open cipher_encrypt OPENSSL_cleanse explicit_bzero \
              __explicit_bzero_chk CRYPTO_set_mem_functions

all-forensic: $(B)/tests/memscan $(B)/tests/frames $(FORENSIC_WORKER) $(LEAKY_WORKER) $(WRONG_WORKER)

$(B)/obj/tests/forensic/%.o: CPPFLAGS += -Iblkback-ephem
$(B)/tests/frames: $(B)/obj/tests/forensic/frames.o
$(B)/tests/memscan: $(B)/obj/tests/forensic/memscan.o $(FORENSIC)
$(B)/tests/frames: LIBS_frames := -lxencall -lxenforeignmemory
$(B)/tests/memscan $(B)/tests/frames:
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_$(@F))

$(FORENSIC_WORKER): $(DATA) $(COMMON) $(B)/obj/tests/forensic/tell.o
$(FORENSIC_WORKER): WRAP := -Wl,--wrap=key_open
$(LEAKY_WORKER): $(DATA) $(COMMON) $(addprefix $(B)/obj/tests/forensic/,tell.o leaky.o)
$(LEAKY_WORKER): WRAP := $(foreach function,$(LEAKY_WRAP),-Wl,--wrap=$(function))
$(WRONG_WORKER): $(DATA) $(COMMON) $(B)/obj/tests/forensic/wrong.o
$(WRONG_WORKER): WRAP := -Wl,--wrap=EVP_CipherUpdate,--wrap=EVP_CIPHER_CTX_ctrl
$(FORENSIC_WORKER) $(LEAKY_WORKER) $(WRONG_WORKER):
	@mkdir -p $(@D)
	@echo "LD $@"
	$(Q)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(WRAP) -o $@ $^ $(LIBS_$(@F))

.PHONY: all-forensic
