# SPDX-License-Identifier: GPL-2.0-or-later
"""
Which qube is to be served, by its features.  Used by qubesd's extension and by qvm-ephemeral: what
is called a qube here is an object of either.

A feature is a string; Qubes takes any but the empty one for true, "0" and "no" too.  Here it is "1"
or empty, and everything else is an error: nobody is to believe that a qube is ephemeral when it is
not, nor to lose data because a qube is against his will.

The libvirt template decides the same by itself (templates/libvirt/xen-dist.xml); that both agree is
checked for each qube that starts.
"""

FLAG = "ephemeral-backend"
FLAG_APPVM = "ephemeral-backend-appvm"
POOL = "ephemeral-backend-pool"

# Volumes that are served, the devices they are for the guest, and Xen's numbers of these.
DEVICES = {"root": "xvda", "private": "xvdb", "volatile": "xvdc"}
NUMBERS = {"xvda": 51712, "xvdb": 51728, "xvdc": 51744}

VALUES = {FLAG: ("", "1"), FLAG_APPVM: ("", "1"), POOL: ("", "volatile")}
FITS = {
    FLAG: "a disposable, a disposable template or, as the default of all disposables, dom0",
    FLAG_APPVM: "an AppVM",
    POOL: "a disposable, a disposable template, an AppVM or dom0",
}


def check_value(feature, value):
    """`value`, when it is one that the feature can have; else ValueError with what to do."""
    if value not in VALUES[feature]:
        raise ValueError(
            f"{feature} is '{value}', which means nothing: set it to '{VALUES[feature][1]}', or to "
            f"'' to switch it off"
        )
    return value


def _fits(qube, feature):
    if feature == FLAG_APPVM:
        # A disposable has a copy of what its template has set; it means nothing there.
        return qube.klass in ("AppVM", "DispVM")
    if qube.klass in ("DispVM", "AdminVM") or (feature == POOL and qube.klass == "AppVM"):
        return True
    return qube.klass in ("AppVM", "StandaloneVM") and qube.template_for_dispvms


def check_class(qube, feature):
    """ValueError when the feature means nothing for this qube, or would cost it what it keeps."""
    if not _fits(qube, feature):
        kind = qube.klass
        if feature != FLAG_APPVM and kind in ("AppVM", "StandaloneVM"):
            kind += ", no disposable template"
        raise ValueError(f"{feature} is not for {qube.name} ({kind}): it is for {FITS[feature]}")


def lookup(qube, feature):
    """The feature of the qube, its template and so on up, or dom0: value and whose it is."""
    at = qube
    while at is not None:
        value = at.features.get(feature, None)
        if value is not None:
            return value, at.name
        at = getattr(at, "template", None)
    return qube.app.domains["dom0"].features.get(feature, None) or "", "dom0"


def decide(qube):
    """
    Whether this qube's disks are to be ephemeral when it starts, and the name of the qube whose
    feature says so, None when nothing is said.  ValueError when the features cannot be understood,
    or ask it of a qube that must keep what it writes.
    """
    value, where = "", None
    if qube.klass == "DispVM":
        value, where = lookup(qube, FLAG)
        check_value(FLAG, value)
    elif qube.klass == "AppVM":
        value, where = qube.features.get(FLAG_APPVM, None) or "", qube.name
        check_value(FLAG_APPVM, value)
    elif qube.klass != "AdminVM":
        for feature in (FLAG, FLAG_APPVM):
            if qube.features.get(feature, None):
                check_class(qube, feature)
    return value == "1", where if value else None


def pool_of(qube):
    """The pool of a qube that is served: '' for what the daemon's files say, or 'volatile'."""
    return check_value(POOL, lookup(qube, POOL)[0])


def odd_settings(qube):
    """What does not fit a qube that is served, one line each."""
    for name in DEVICES:
        volume = qube.volumes[name]
        if not volume.rw:
            yield (
                f"{name} is read-only (rw False): the guest makes a copy-on-write layer of its own "
                f"and, if HVM, sees other hardware: qvm-volume config {qube.name}:{name} rw True"
            )
        if volume.ephemeral:
            yield (
                f"{name} is encrypted by dm-crypt as well (ephemeral True), for nothing: "
                f"qvm-volume config {qube.name}:{name} ephemeral False"
            )
