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
	name   string
	mtu    int
	queues []Queue
}

// Open opens, and makes if need be, a TUN device with that many queues, and
// brings it up with that MTU in bytes. The device goes away when it is closed.
func Open(name string, mtu, queues int) (Device, error) {
	d := &device{name: name, mtu: mtu}
	for range max(1, queues) {
		q, err := openQueue(d.name, queues > 1)
		if err != nil {
			_ = d.Close()
			return nil, explain(name, err)
		}
		d.name = q.name // the kernel chose it if there was none
		d.queues = append(d.queues, q)
	}
	if err := bringUp(d.name, mtu); err != nil {
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

// openQueue adds a queue with vnet headers to a device. A kernel that refuses
// them gets one without.
func openQueue(name string, several bool) (*named, error) {
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if several {
		flags |= unix.IFF_MULTI_QUEUE
	}
	f, name2, err := openTun(name, flags)
	if errors.Is(err, unix.EINVAL) {
		return openPlain(name, several)
	}
	if err != nil {
		return nil, err
	}
	q, err := newQueue(f, vnetLen)
	return &named{q, name2}, err
}

func openTun(name string, flags uint16) (*os.File, string, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil, "", fmt.Errorf("%q is no name for a network device: at most 15 bytes", name)
	}
	fd, err := unix.Open(tunFile, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", &fs.PathError{Op: "open", Path: tunFile, Err: err}
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		_ = unix.Close(fd)
		return nil, "", fmt.Errorf("TUNSETIFF: %w", err)
	}
	// Without offloads every packet comes whole, with its checksums.
	if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0); err != nil {
		_ = unix.Close(fd)
		return nil, "", fmt.Errorf("TUNSETOFFLOAD: %w", err)
	}
	return os.NewFile(uintptr(fd), tunFile), ifr.Name(), nil
}

// openPlain opens a queue through package water.
func openPlain(name string, several bool) (*named, error) {
	i, err := water.New(water.Config{
		DeviceType:             water.TUN,
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
		return nil, errors.New("the device is no file")
	}
	return newQueue(f, 0)
}

func bringUp(name string, mtu int) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	if err := netlink.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("device %s: MTU %d: %w", name, mtu, err)
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
