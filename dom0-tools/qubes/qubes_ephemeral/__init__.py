# SPDX-License-Identifier: GPL-2.0-or-later
"""
Ephemeral disks for qubes, by blkback-ephemd.

extension   what qubesd loads: handlers of events, each a few lines
policy      which qube is to be served: features; pure
disks       whether a qube's disks are ours: in libvirt's XML, in xenstore; pure
pool        the daemon's file for one qube
daemon      one question to the daemon, without waiting in the event loop
tool        qvm-ephemeral; imports nothing of qubesd's
"""
