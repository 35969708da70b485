package udp

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Apart makes the kernel sort datagrams by the eight bytes at an offset. If these are not
// zero, a datagram goes to the last of several sockets of one address, otherwise to one
// of the others. So a flood of one kind leaves room for the other. At least two sockets
// of one call of Listen are needed.
func Apart(sockets []*Socket, offset uint32) error {
	if len(sockets) < 2 {
		return errors.New("one socket alone has nothing to tell apart")
	}
	last := uint32(len(sockets) - 1)
	const random = 0xfffff000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 5},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset + 4},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: random},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: last},
		{Code: unix.BPF_RET | unix.BPF_A},
		{Code: unix.BPF_RET | unix.BPF_K, K: last},
	}
	// The sockets of an address are a group, and the program is the group's.
	var err error
	if cerr := sockets[0].raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	}); cerr != nil {
		return cerr
	}
	if err != nil {
		return fmt.Errorf("SO_ATTACH_REUSEPORT_CBPF: %w", err)
	}
	return nil
}
