package netdev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const tunFile = "/dev/net/tun"

// device is a TUN device, or the file side of a TAP device.
type device struct {
	name     string
	mtu      int
	offloads Offloads
	queues   []Queue
}

// Offloads is what a TUN device leaves to this program, so that a call of the
// kernel carries more than one packet.
type Offloads uint8

// The values of Offloads, from the most to the least.
const (
	AllOffloads Offloads = iota // super-packets of TCP and UDP, partial checksums
	TCPOffloads                 // the same without UDP, as in kernels before 6.2
	NoOffloads                  // a packet is a packet, and whole
	NoHeaders                   // and has no vnet header: what package water opens
)

// String implements fmt.Stringer.
func (o Offloads) String() string {
	switch o {
	case AllOffloads:
		return "TCP and UDP"
	case TCPOffloads:
		return "TCP"
	case NoOffloads:
		return "none"
	case NoHeaders:
		return "none, without vnet headers"
	}
	return fmt.Sprintf("Offloads(%d)", uint8(o))
}

// OffloadsOf is what a device that was opened here leaves to this program.
func OffloadsOf(d Device) Offloads {
	switch d := d.(type) {
	case *device:
		return d.offloads
	case *TAP:
		return d.offloads
	default: // none of the kernel's
		return NoHeaders
	}
}

// flags are those of TUNSETOFFLOAD.
func (o Offloads) flags() int {
	const tcp = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	switch o {
	case AllOffloads:
		return tcp | unix.TUN_F_USO4 | unix.TUN_F_USO6
	case TCPOffloads:
		return tcp
	default:
		return 0
	}
}

// TUNConfig is what a TUN device begins with.
type TUNConfig struct {
	Name     string // "": the kernel chooses one
	MTU      int    // in bytes
	Queues   int
	Offloads Offloads // the most that is asked for: a kernel may have less
}

// Open opens a TUN device with all offloads that the kernel has.
func Open(name string, mtu, queues int) (Device, error) {
	return OpenTUN(TUNConfig{Name: name, MTU: mtu, Queues: queues})
}

// OpenTUN opens, and makes if need be, a TUN device, and brings it up. The device
// goes away when it is closed.
func OpenTUN(c TUNConfig) (Device, error) {
	d := &device{name: c.Name, mtu: c.MTU, offloads: c.Offloads}
	for range max(1, c.Queues) {
		q, err := openQueue(unix.IFF_TUN, d.name, c.Queues > 1, d.offloads)
		if err != nil {
			_ = d.Close()
			if taken := Taken(c.Name); taken != nil {
				return nil, taken
			}
			return nil, explain(c.Name, err)
		}
		d.name = q.name // the kernel chose it if there was none
		d.offloads = q.offloads
		d.queues = append(d.queues, q)
	}
	if err := bringUp(d.name, c.MTU); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// named is a queue and the name of its device.
type named struct {
	*queue
	name string
}

// openQueue adds a queue to a device of a kind, IFF_TUN or IFF_TAP, with vnet headers and as many offloads as
// are wanted and there are. A kernel that refuses the headers gets one without.
func openQueue(kind uint16, name string, several bool, most Offloads) (*named, error) {
	if most >= NoHeaders {
		return openPlain(kind, name, several)
	}
	flags := kind | unix.IFF_NO_PI | unix.IFF_VNET_HDR
	if several {
		flags |= unix.IFF_MULTI_QUEUE
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a name for a network device: at most 15 bytes", name)
	}
	fd, err := unix.Open(tunFile, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: tunFile, Err: err}
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		_ = unix.Close(fd)
		if errors.Is(err, unix.EINVAL) {
			return openPlain(kind, name, several)
		}
		return nil, fmt.Errorf("TUNSETIFF: %w", err)
	}
	most, err = setOffloads(fd, most)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	q, err := newQueue(os.NewFile(uintptr(fd), tunFile), most)
	return &named{q, ifr.Name()}, err
}

// setOffloads asks for offloads, and for less if the kernel does not know them.
// It returns what there is.
func setOffloads(fd int, most Offloads) (Offloads, error) {
	// A program that joins a device which another one has open gets that one's headers, or
	// none.
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr); err != nil {
		return 0, fmt.Errorf("TUNGETIFF: %w", err)
	}
	if ifr.Uint16()&unix.IFF_VNET_HDR == 0 {
		return NoHeaders, nil
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnetLen); err != nil {
		return 0, fmt.Errorf("TUNSETVNETHDRSZ: %w", err)
	}
	return lower(most, func(flags int) error { return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, flags) })
}

// lower finds the most offloads that set takes.
func lower(most Offloads, set func(flags int) error) (Offloads, error) {
	for ; ; most++ {
		err := set(most.flags())
		if err == nil {
			return most, nil
		}
		if most >= NoOffloads || !errors.Is(err, unix.EINVAL) {
			return 0, fmt.Errorf("TUNSETOFFLOAD: %w", err)
		}
	}
}

// openPlain opens a queue through package water.
func openPlain(kind uint16, name string, several bool) (*named, error) {
	deviceType := water.DeviceType(water.TUN)
	if kind == unix.IFF_TAP {
		deviceType = water.TAP
	}
	i, err := water.New(water.Config{
		DeviceType:             deviceType,
		PlatformSpecificParams: water.PlatformSpecificParams{Name: name, MultiQueue: several},
	})
	if err != nil {
		return nil, err
	}
	q, err := waterQueue(i)
	if err != nil {
		return nil, err
	}
	return &named{q, i.Name()}, nil
}

// waterQueue takes the file out of a device that package water opened.
func waterQueue(i *water.Interface) (*queue, error) {
	f, ok := i.ReadWriteCloser.(*os.File)
	if !ok {
		_ = i.Close()
		return nil, errors.New("the device is not a file")
	}
	return newQueue(f, NoHeaders)
}

// queueLen is how many packets and super-packets the kernel keeps in a queue
// until it is read. Linux has 500, fewer than there are flows.
const queueLen = 2000

// bringUp leaves the device's gso_max_size as it is. A lower one would make local
// TCP's super-packets as long as one train of datagrams, but what the kernel
// forwards is longer, and would be cut into single packets.
func bringUp(name string, mtu int) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	if err := netlink.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("device %s: MTU %d: %w", name, mtu, err)
	}
	if err := netlink.LinkSetTxQLen(link, queueLen); err != nil {
		return fmt.Errorf("device %s: queue of %d packets: %w", name, queueLen, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("device %s: up: %w", name, err)
	}
	return nil
}

// explain says what an administrator can do about a failed Open.
func explain(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("no %s: load the kernel's tun module, or give the container the device: %w", tunFile, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("device %q needs CAP_NET_ADMIN and access to %s: %w", name, tunFile, err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("device %q is in use by another program: %w", name, err)
	default:
		return fmt.Errorf("device %q: %w", name, err)
	}
}

// Name implements Device.
func (d *device) Name() string { return d.name }

// MTU implements Device.
func (d *device) MTU() int { return d.mtu }

// Queues implements Device.
func (d *device) Queues() []Queue { return d.queues }

// Close implements Device.
func (d *device) Close() error {
	var errs []error
	for _, q := range d.queues {
		errs = append(errs, q.Close())
	}
	return errors.Join(errs...)
}
