# SPDX-License-Identifier: GPL-2.0-or-later
"""
A stand-in for the client's side of the Admin API: qvm-ephemeral's tests hand it qubesd's objects
instead, which have what it asks of them under the same names.
"""
