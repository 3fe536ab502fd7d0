#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# packages-root.sh - in the root that tests/packages.sh has made: installs, upgrades while a guest is served,
# removes, purges.  There is no systemd here, and no Xen, so `systemctl` is a stand-in that starts, stops and
# restarts a unit's main process and only that, as KillMode=process does, and writes down what it is asked; what it
# knows without a running systemd it asks the real one.  The daemon is a sleep.  The worker is the one that was
# installed, serving a volume over NBD: when it had been started anew, what was written would be gone.
# That this would be noticed shows a package that does restart.
# shellcheck disable=SC2016 # check evaluates
set -u
passed=0 failed=0
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
calls=/tmp/calls

check() {
    local name=$1
    shift
    if "$@" >/tmp/out 2>&1; then
        echo "ok packages/root/$name"
        passed=$((passed + 1))
    else
        echo "not ok packages/root/$name"
        sed 's/^/    /' /tmp/out
        failed=$((failed + 1))
    fi
}

cp /usr/bin/systemctl /tmp/systemctl
rm /usr/bin/systemctl
cat >/usr/bin/systemctl <<'END'
#!/bin/bash
echo "$*" >>/tmp/calls
words=()
for word; do [[ $word = -* ]] || words+=("$word"); done
verb=${words[0]-}
active() { [ -e "/tmp/units/$1" ] && kill -0 "$(cat "/tmp/units/$1")" 2>/dev/null; }
start() { active "$1" || { setsid sleep infinity </dev/null >/dev/null 2>&1 & echo $! >"/tmp/units/$1"; }; }
stop() { ! active "$1" || kill "$(cat "/tmp/units/$1")"; rm -f "/tmp/units/$1"; }
offline() { env SYSTEMD_OFFLINE=1 /tmp/systemctl "$@"; }
for unit in "${words[@]:1}"; do
    case $verb in
    start) start "$unit" ;;
    stop) stop "$unit" ;;
    restart) stop "$unit"; start "$unit" ;;
    try-restart | reload-or-restart) ! active "$unit" || { stop "$unit"; start "$unit"; } ;;
    is-active) active "$unit" || exit 3 ;;
    is-enabled | enable | preset) offline "$@" || exit ;;
    disable) offline --no-reload disable "$unit" || exit; [[ " $* " != *" --now "* ]] || stop "$unit" ;;
    *) echo "systemctl: $verb: not known here" >&2; exit 1 ;;
    esac
done
END
chmod 755 /usr/bin/systemctl
mkdir -p /tmp/units /run/systemd/system

debs() { find /tmp/debs -name "*_$1_*.deb" | sort; }
version=$(dpkg-deb -f "$(find /tmp/debs -name 'blkback-ephem_*.deb')" Version)
unit=blkback-ephemd.service
pid_of() { cat "/tmp/units/$1"; }

# again SUFFIX [FROM TO]: the packages once more, as a later version, with a word of postinst changed
again() {
    local one dir
    for one in $(debs "$version"); do
        dir=/tmp/again
        rm -rf "$dir"
        dpkg-deb -R "$one" "$dir" &&
            sed -i "s/^Version: .*/&+$1/; s/(= $version)/(= $version+$1)/" "$dir/DEBIAN/control" &&
            sed -i "s/${2:-^$}/${3:-}/" "$dir/DEBIAN/postinst" &&
            dpkg-deb -b -Znone "$dir" "/tmp/debs/$(dpkg-deb -f "$one" Package)_$version+$1_all.deb" || return 1
    done
}

# What is ours by its name, but in the books of packagers
ours() {
    find /etc /usr /var /run -xdev \( -name '*blkback-ephem*' -o -name '*block-ephem*' -o -name '*ephem-guard*' -o \
        -name 'ephemctl*' -o -name '*qubes_ephemeral*' -o -name 'qvm-ephemeral*' \) ! -path '/var/lib/dpkg/*' ! -path '/var/log/*' \
        ! -path '/var/tmp/*' ! -path '/var/cache/*' 2>/dev/null | sort
}
# What tests have left on this machine, or a daemon that was started by hand, is not in the way.
rm -rf /var/lib/blkback-ephem
nothing_of_ours() { ours && [ -z "$(ours)" ]; }
check nothing-of-ours-before nothing_of_ours

# --- Debian: install --------------------------------------------------------------------------------------
# What the administrator forbids is not started: here, as in a chroot that is being built.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
install() {
    # shellcheck disable=SC2046 # paths without blanks
    dpkg -i --no-triggers $(debs "$version")
}
touch "$calls"
check install install
check install-policy-obeyed eval '! grep -E "(^| )(re)?start " "$calls"; [ ! -e /tmp/units/$unit ]'
rm /usr/sbin/policy-rc.d
check install-enabled env SYSTEMD_OFFLINE=1 /tmp/systemctl is-enabled "$unit" ephem-guard.service
check install-account eval 'getent passwd blkback-ephem | grep ":/usr/sbin/nologin$" && [ "$(id -u blkback-ephem)" != 0 ]'
directories() { [ "$(stat -c "%a %U" /var/lib/blkback-ephem /run/blkback-ephem | sort -u)" = "700 root" ]; }
check install-directories directories
check install-helper eval '[ -x /etc/xen/scripts/block-ephem ] && /etc/xen/scripts/block-ephem --help'
check install-programs eval 'ephemctl --help && blkback-ephemd --version && ephem-guard --version &&
    /usr/libexec/blkback-ephem/blkback-ephem --version'
check install-configuration eval '[ -s /etc/blkback-ephem/blkback-ephem.conf ] && [ -d /etc/blkback-ephem/domains ]'

# Workers become what has been made for them: one case of the test of that, with the programs of this tree.  Others
# of its cases want the machine's own processes.
worker_user() {
    cd "$TOP" && B=build tests/sim/test_sandbox.sh 2>&1 | tee /tmp/sandbox | grep -m 1 'ok filters in all threads'
    grep '^ok filters in all threads' /tmp/sandbox && return
    cat /tmp/sandbox
    return 1
}
if [ -x "$TOP/build/blkback-ephem" ] && [ -x "$TOP/build/tests/inject" ]; then
    check worker-user worker_user
else
    echo "skip packages/root/worker-user: $TOP/build has no programs for tests here: make all all-fakexen"
fi

# --- units ------------------------------------------------------------------------------------------------
directory=$(dirname "$(find /lib/systemd/system /usr/lib/systemd/system -name "$unit" | head -n 1)")
# Of units that this machine has not got nothing is said.  DelegateSubgroup= came with systemd 254; an earlier
# one says so and goes on.
verify() {
    /usr/bin/systemd-analyze verify --man=no "$directory/$1" 2>&1 | grep -F "$1" | grep -v "'DelegateSubgroup'" >/tmp/verify
    cat /tmp/verify
    [ ! -s /tmp/verify ]
}
check unit-daemon verify "$unit"
check unit-guard verify ephem-guard.service
says() { grep -qxF -e "$2" "$directory/$1" || { echo "$1: no $2"; return 1; }; }
for line in LimitMEMLOCK=infinity LimitCORE=0 KillMode=process RuntimeDirectoryPreserve=yes OOMPolicy=continue; do
    check "unit-daemon-${line%%=*}" says "$unit" "$line"
done
before() {
    local other
    for other in qubes-core qubesd libvirtd virtxend xendomains; do
        grep -E "^Before=.*\\b$other\\.service" "$directory/$1" || { echo "not before $other"; return 1; }
    done
    grep -E '^After=.*\bxenstored\.service' "$directory/$1"
}
check unit-daemon-order before "$unit"
check unit-guard-order before ephem-guard.service
exposure() { /usr/bin/systemd-analyze security --offline=yes --threshold="$2" "$directory/$1" --no-pager; }
check unit-guard-exposure exposure ephem-guard.service 40

# --- upgrade while a guest is served ----------------------------------------------------------------------
worker=
serve() {
    systemctl start "$unit" ephem-guard.service
    /usr/libexec/blkback-ephem/blkback-ephem serve --volume xvdc=blank:16M --pool ram:32M --nbd /tmp/e.sock >/tmp/worker 2>&1 &
    worker=$!
    for _ in $(seq 100); do [ -S /tmp/e.sock ] && break; sleep 0.1; done
    mkdir -p /run/blkback-ephem/workers
    echo "$worker $(cut -d' ' -f22 "/proc/$worker/stat") 00000000-0000-4000-8000-000000000007" >/run/blkback-ephem/workers/7.1.pid
    qemu-io -f raw -c 'write -P 0xa7 1M 64k' 'nbd+unix:///xvdc?socket=/tmp/e.sock' || { cat /tmp/worker; return 1; }
}
check serve serve
serves() {
    kill -0 "$worker" && qemu-io -f raw -c 'read -P 0xa7 1M 64k' 'nbd+unix:///xvdc?socket=/tmp/e.sock' >/tmp/io 2>&1
    cat /tmp/io
    ! grep -qiE 'failed|error' /tmp/io && grep -q 'read 65536/65536' /tmp/io
}
check serves serves
untouched() {
    cat "$calls"
    # shellcheck disable=SC2086 # two numbers
    [ "$(pid_of "$unit") $(pid_of ephem-guard.service)" = "$mains" ] && kill -0 $mains && serves &&
        ! grep -E '\b(stop|restart|try-restart|kill|reload-or-restart)\b' "$calls"
}
upgrade() {
    mains="$(pid_of "$unit") $(pid_of ephem-guard.service)"
    : >"$calls"
    # shellcheck disable=SC2046 # paths without blanks
    dpkg -i --no-triggers --force-confold $(debs "$version+$1")
}
check later again b
echo '# the operator'"'"'s' >>/etc/blkback-ephem/blkback-ephem.conf
echo '[limits]' >/etc/blkback-ephem/domains/mine.conf
check upgrade upgrade b
check upgrade-happened eval '[ "$(dpkg-query -W -f "\${Version}" blkback-ephem)" = "$version+b" ]'
check upgrade-untouched untouched
check upgrade-configuration grep -q "the operator's" /etc/blkback-ephem/blkback-ephem.conf
# One that restarts is noticed.
check later-careless again c 'deb-systemd-invoke start' 'deb-systemd-invoke restart'
check careless upgrade c
check careless-is-noticed eval '! untouched'
check careless-worker-lives serves

# --- remove, purge ----------------------------------------------------------------------------------------
check serving eval '[ "$(/usr/share/blkback-ephem/serving)" = 7 ]'
refused() {
    ! "$@" >/tmp/refused 2>&1 && cat /tmp/refused && grep -E 'serves guests \(domids 7\): shut them down first' /tmp/refused &&
        [ -x /usr/sbin/blkback-ephemd ] && [ -x /etc/xen/scripts/block-ephem ]
}
check remove-refused-while-serving refused dpkg -r --no-triggers blkback-ephem-guard blkback-ephem
check refused-serves serves
check refused-daemon-lives kill -0 "$(pid_of "$unit")"
# Another process under the number of a worker is none.
echo "$worker 1 00000000-0000-4000-8000-000000000007" >/run/blkback-ephem/workers/7.1.pid
check serving-number-reused eval '/usr/share/blkback-ephem/serving; [ $? = 1 ]'
echo "$worker $(cut -d' ' -f22 "/proc/$worker/stat")" >/run/blkback-ephem/workers/7.1.pid
kill "$worker"
wait "$worker" 2>/dev/null
: >"$calls"
check remove dpkg -r --no-triggers blkback-ephem-guard blkback-ephem
check remove-stops eval 'grep -E "stop .*$unit" "$calls"; [ ! -e /tmp/units/$unit ]'
check remove-leaves-configuration [ -s /etc/blkback-ephem/blkback-ephem.conf ]
check remove-takes-the-helper [ ! -L /etc/xen/scripts/block-ephem ]
mkdir -p /var/lib/blkback-ephem/suspended
touch /var/lib/blkback-ephem/suspended/00000000-0000-4000-8000-000000000001
check purge dpkg -P --no-triggers blkback-ephem-guard blkback-ephem
# What is in the overlay's upper layer and was not before: the operator's file; not counted are the account, and
# the books of dpkg and systemd's helper.
left() {
    cd /tmp/upper && find ./etc ./usr ./lib ./var/lib ./run ! -type d ! -type c ! -path './var/lib/dpkg/*' ! -path './usr/bin/systemctl' \
        ! -path './etc/passwd*' ! -path './etc/group*' ! -path './etc/shadow*' ! -path './etc/gshadow*' ! -path './etc/.pwd.lock' \
        ! -path './var/lib/systemd/deb-systemd-helper-*' 2>/dev/null
}
nothing_left() {
    left | tee /tmp/left
    [ "$(cat /tmp/left)" = ./etc/blkback-ephem/domains/mine.conf ] || return 1
    ours | tee /tmp/left
    [ "$(cat /tmp/left)" = /etc/blkback-ephem ]
}
check purge-leaves-the-operators nothing_left

# --- RPM --------------------------------------------------------------------------------------------------
# Beside Debian's packages there is nothing that they require: what they do is looked at, not what they need.
rm -rf /etc/blkback-ephem /var/lib/blkback-ephem
rpm_do() { rpm --nodeps --nosignature "$@" 2>&1; }
main=$(find /tmp/rpms -name 'blkback-ephem-[0-9]*.rpm')
: >"$calls"
check rpm-install rpm_do -i "$main" /tmp/rpms/blkback-ephem-guard-*.rpm /tmp/rpms/blkback-ephem-qubes-*.rpm
check rpm-helper /etc/xen/scripts/block-ephem --help
check rpm-preset grep -E 'preset blkback-ephemd.service' "$calls"
check rpm-qubes-module /usr/bin/python3 -c 'import qubes_ephemeral.tool'
check rpm-qubes-entry-point /usr/bin/python3 -c 'from importlib.metadata import entry_points
assert [e for e in entry_points(group="qubes.ext") if e.module == "qubes_ephemeral.extension"]'
unit_dir=/usr/lib/systemd/system
check rpm-qubes-vm grep -rx 'After=blkback-ephemd.service' "$unit_dir/qubes-vm@.service.d"
check rpm-serve serve
mains="$(pid_of "$unit") $(pid_of ephem-guard.service)"
: >"$calls"
check rpm-upgrade rpm_do -U --force "$main" /tmp/rpms/blkback-ephem-guard-*.rpm
check rpm-upgrade-untouched untouched
check rpm-upgrade-told eval 'grep daemon-reload "$calls"'
check rpm-remove-refused-while-serving refused rpm_do -e blkback-ephem
check rpm-refused-daemon-lives kill -0 "$(pid_of "$unit")"
check rpm-refused-serves serves
kill "$worker"
wait "$worker" 2>/dev/null
check rpm-remove rpm_do -e blkback-ephem-qubes blkback-ephem-guard blkback-ephem
check rpm-remove-stops eval '[ ! -e /tmp/units/$unit ]'
check rpm-remove-leaves-nothing nothing_of_ours

for left_unit in /tmp/units/*; do [ ! -e "$left_unit" ] || kill "$(cat "$left_unit")" 2>/dev/null; done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
