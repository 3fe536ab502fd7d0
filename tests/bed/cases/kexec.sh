# shellcheck shell=bash disable=SC2153 # SEED is the run's, seed the case's
# SPDX-License-Identifier: GPL-2.0-or-later
seed=$SEED-kexec
base=/var/lib/kexec.img
check base boot_base "$base"
guest_config kexec 384 kexec "bed.seed=$seed" "$(ephemeral xvda "$base")"
check daemon daemon_start --threads 2 --verbose
cp "$GUESTS/kexec.cfg" /run/kexec.cfg
: >"$(guest_log kexec)"
xl -vvv create -F "$GUESTS/kexec.cfg" >"$LOGS/xl-kexec.log" 2>&1 &
wait_for 30 domain xl domid kexec
xl domid kexec >"$GUESTS/kexec.domid"
check loaded guest_wait kexec 200 loaded
pids=$(workers | xargs)
guest_tell kexec go
wait_for 60 "second or gone" guest_said_or_gone kexec second
xl list
workers
ephemctl status
xenstore-ls -f /local/domain/0/backend/vbd3
cat "$(guest_log kexec)"
tail -n 60 "$DAEMON_LOG"
cat "$LOGS/xl-kexec.log" | tail -n 100
fail look
