/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * suites: every suite there is.  All are weak, so that one whose file is not there is left out.
 */
#ifndef UNIT_SUITES_H
#define UNIT_SUITES_H

#define UNIT_SUITES(X)                                                                             \
    X(syscalls)                                                                                    \
    X(cgroup)                                                                                      \
    X(life_limits)                                                                                 \
    X(kernel)                                                                                      \
    X(util)                                                                                        \
    X(log)                                                                                         \
    X(wire)                                                                                        \
    X(loop)                                                                                        \
    X(store)                                                                                       \
    X(store_pool)                                                                                  \
    X(store_device)                                                                                \
    X(store_limits)                                                                                \
    X(rules)                                                                                       \
    X(driver)                                                                                      \
    X(stubdom_image)                                                                               \
    X(index)                                                                                       \
    X(slots)                                                                                       \
    X(overlay)                                                                                     \
    X(secret)                                                                                      \
    X(cipher)                                                                                      \
    X(seal)                                                                                        \
    X(selftest)                                                                                    \
    X(rewrite)                                                                                     \
    X(undertaker)                                                                                  \
    X(sandbox)                                                                                     \
    X(untraced)                                                                                    \
    X(key)                                                                                         \
    X(memscan)                                                                                     \
    X(ring)                                                                                        \
    X(ring_judge)                                                                                  \
    X(pool)                                                                                        \
    X(pool_life)                                                                                   \
    X(pool_file)                                                                                   \
    X(tier)                                                                                        \
    X(tier_ram)                                                                                    \
    X(memory)                                                                                      \
    X(slots_age)                                                                                   \
    X(arena)                                                                                       \
    X(limit)                                                                                       \
    X(iothread)                                                                                    \
    X(pump)                                                                                        \
    X(pump_faults)                                                                                 \
    X(pump_short)                                                                                  \
    X(request)                                                                                     \
    X(volume)                                                                                      \
    X(volume_full)                                                                                 \
    X(volume_faults)                                                                               \
    X(sweep)                                                                                       \
    X(volume_grow)                                                                                 \
    X(volume_race)                                                                                 \
    X(volume_model)                                                                                \
    X(integrity)                                                                                   \
    X(doors)                                                                                       \
    X(doors_faults)                                                                                \
    X(metrics)                                                                                     \
    X(paths)                                                                                       \
    X(xenbus)                                                                                      \
    X(keys)                                                                                        \
    X(reclaim)                                                                                     \
    X(suspend)                                                                                     \
    X(stubdom)                                                                                     \
    X(audit)                                                                                       \
    X(own_rules)                                                                                   \
    X(xlcfg)                                                                                       \
    X(xldisk)                                                                                      \
    X(guard)                                                                                       \
    X(guard_domain)                                                                                \
    X(tombstone)                                                                                   \
    X(extents)                                                                                     \
    X(guest_extents)                                                                               \
    X(guest_volumes)                                                                               \
    X(life)

#define UNIT_DECLARE(name) int suite_##name(void) __attribute__((weak));
UNIT_SUITES(UNIT_DECLARE)
#undef UNIT_DECLARE

#endif
