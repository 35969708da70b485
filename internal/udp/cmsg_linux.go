package udp

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// control is room for the ancillary data of one message: PKTINFO, and a
// segment size.
type control struct {
	_ [0]uintptr // the kernel's alignment
	b [128]byte
}

// next returns the message at an offset, its data and the offset of the one
// after it; nil at the end.
func (c *control) next(at, end int) (*unix.Cmsghdr, []byte, int) {
	if at+unix.SizeofCmsghdr > end {
		return nil, nil, 0
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c.b[at]))
	n := int(h.Len)
	if n < unix.SizeofCmsghdr || n > end-at {
		return nil, nil, 0
	}
	return h, c.b[at+unix.SizeofCmsghdr : at+n], at + unix.CmsgSpace(n-unix.SizeofCmsghdr)
}

// parse returns the address that a datagram came to, and the segment size of a
// train, 0 if it is none.
func (c *control) parse(end int) (local netip.Addr, segment int) {
	end = min(end, len(c.b))
	for h, data, at := c.next(0, end); h != nil; h, data, at = c.next(at, end) {
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			local = netip.AddrFrom4((*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0])).Spec_dst)
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			local = netip.AddrFrom16((*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0])).Addr)
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			segment = int(*(*int32)(unsafe.Pointer(&data[0])))
		}
	}
	return local, segment
}

// put appends one message at an offset and returns its data.
func (c *control) put(at *int, level, kind int32, n int) unsafe.Pointer {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c.b[*at]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(n))
	data := unsafe.Pointer(&c.b[*at+unix.SizeofCmsghdr])
	*at += unix.CmsgSpace(n)
	return data
}

// putLocal appends the address to send from, if there is one.
func (c *control) putLocal(at *int, local netip.Addr) {
	if !local.IsValid() || local.IsUnspecified() {
		return
	}
	if local = local.Unmap(); local.Is4() {
		info := (*unix.Inet4Pktinfo)(c.put(at, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo))
		*info = unix.Inet4Pktinfo{Spec_dst: local.As4()}
		return
	}
	info := (*unix.Inet6Pktinfo)(c.put(at, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo))
	*info = unix.Inet6Pktinfo{Addr: local.As16()}
}

// putSegment appends the segment size of a train.
func (c *control) putSegment(at *int, segment int) {
	*(*uint16)(c.put(at, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)) = uint16(segment)
}
