# Settings that every script here shares; sourced, not run.
# These move everything:
GUEST_NET=${GUEST_NET:-adit}                     # prefix of the namespaces
GUEST_HOME=${GUEST_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/adit-guest}
IMG=${GUEST_IMAGE:-$GUEST_HOME/img}  # guest kernel and root trees
STATE=${GUEST_STATE:-$GUEST_HOME/state-$GUEST_NET}  # a folder a running guest

KIT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NS_SRV=$GUEST_NET-srv NS_LAN=$GUEST_NET-lan NS_NAT=$GUEST_NET-nat

# Addresses.  All of them live only inside the three namespaces.
NET=10.99.0              # the open network
SRV_IP=$NET.1            # server namespace, eth0
APP_IP=10.99.9.1         # server namespace, lo: for traffic through the tunnel
LAN_IP=$NET.254          # the switch, to reach guests from
NAT_IP=$NET.2            # NAT box, open side
INNET=192.168.77         # network behind the NAT box

SUITE=bookworm
# The mirror that this machine's apt already uses, if it is Debian's.
MIRROR=${MIRROR:-$(sed -nE 's/^(URIs:|deb( \[[^]]*\])?) +([^ ]+).*/\3/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -m1 '/debian/*$' || :)}
MIRROR=${MIRROR:-http://deb.debian.org/debian}

die() { echo "$(basename "$0"): $*" >&2; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "must run as root: it makes network namespaces and mounts"; }
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN{printf "%.2f", b-a}'; }
