package ledger

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"time"

	"github.com/adit-vpn/adit/auth"
)

// A record in the file is a byte with the version of its format, four with a checksum of
// what follows, and JSON. Fields may be added to that without another version: readers pass
// over what they do not know. Nothing in it is secret.
const (
	formatVersion = 1
	headLen       = 5
)

// maxRecord bounds a record's bytes: an Access-Accept has 4096 for all of its Class.
const maxRecord = 64 << 10

var errRecord = errors.New("not an accounting record")

// stored is an auth.Record as JSON. Names that peers chose are bytes: they may not be UTF-8.
type stored struct {
	Status    auth.Status    `json:"status"`
	Session   string         `json:"session"`
	Port      uint32         `json:"port,omitempty"`
	PortID    string         `json:"port_id,omitempty"`
	Remote    netip.AddrPort `json:"remote,omitzero"`
	Local     netip.AddrPort `json:"local,omitzero"`
	Host      []byte         `json:"host,omitempty"`
	RASName   []byte         `json:"ras_name,omitempty"`
	RASVer    []byte         `json:"ras_version,omitempty"`
	Group     string         `json:"group,omitempty"`
	Info      string         `json:"info,omitempty"`
	Multi     string         `json:"multi,omitempty"`
	Links     uint32         `json:"links,omitempty"`
	User      []byte         `json:"user"`
	By        auth.Authority `json:"by,omitempty"`
	Method    auth.Method    `json:"method,omitempty"`
	Address   netip.Addr     `json:"address,omitzero"`
	Address6  netip.Addr     `json:"address6,omitzero"`
	Prefix6   netip.Prefix   `json:"prefix6,omitzero"`
	Delegated netip.Prefix   `json:"delegated6,omitzero"`
	Interface [8]byte        `json:"interface6,omitzero"`
	Class     [][]byte       `json:"class,omitempty"`
	Domain    []byte         `json:"logon_domain,omitempty"`
	Time      time.Time      `json:"time"`
	Duration  time.Duration  `json:"duration,omitempty"`
	InOctets  uint64         `json:"in_octets,omitempty"`
	OutOctets uint64         `json:"out_octets,omitempty"`
	InPkts    uint64         `json:"in_packets,omitempty"`
	OutPkts   uint64         `json:"out_packets,omitempty"`
	Cause     auth.Cause     `json:"cause,omitempty"`
}

// encode writes a record.
func encode(r *auth.Record) ([]byte, error) {
	text, err := json.Marshal(stored{
		Status: r.Status, Session: r.Call.SessionID, Port: r.Call.Port, PortID: r.Call.PortID, Remote: r.Call.Remote, Local: r.Call.Local,
		Host: []byte(r.Call.ClientName), RASName: []byte(r.Call.RASName), RASVer: []byte(r.Call.RASVersion), Domain: r.LogonDomain, Group: r.Call.Group, Info: r.Call.Info, Multi: r.Call.Multi, Links: r.Call.Links,
		User: []byte(r.User), By: r.By, Method: r.Method, Address: r.Address,
		Address6: r.IPv6.Address, Prefix6: r.IPv6.Prefix, Delegated: r.IPv6.Delegated, Interface: r.IPv6.Interface,
		Class: r.Class, Time: r.Time, Duration: r.Duration,
		InOctets: r.InputOctets, OutOctets: r.OutputOctets, InPkts: r.InputPackets, OutPkts: r.OutputPackets, Cause: r.Cause,
	})
	if err != nil {
		return nil, err
	}
	if len(text)+headLen > maxRecord {
		return nil, fmt.Errorf("a record of %d bytes", len(text))
	}
	b := make([]byte, headLen, headLen+len(text))
	b[0] = formatVersion
	binary.BigEndian.PutUint32(b[1:], crc32.ChecksumIEEE(text))
	return append(b, text...), nil
}

// decode reads what encode wrote.
func decode(b []byte) (auth.Record, error) {
	switch {
	case len(b) < headLen || len(b) > maxRecord:
		return auth.Record{}, fmt.Errorf("%w: it has %d bytes", errRecord, len(b))
	case b[0] != formatVersion:
		return auth.Record{}, fmt.Errorf("%w that this version knows: its format is %d, not %d", errRecord, b[0], formatVersion)
	case crc32.ChecksumIEEE(b[headLen:]) != binary.BigEndian.Uint32(b[1:]):
		return auth.Record{}, fmt.Errorf("%w: its checksum is wrong", errRecord)
	}
	var s stored
	if err := json.Unmarshal(b[headLen:], &s); err != nil {
		return auth.Record{}, fmt.Errorf("%w: %w", errRecord, err)
	}
	if s.Session == "" || s.Status < auth.Start || s.Status > auth.Stop {
		return auth.Record{}, fmt.Errorf("%w: no session, or no status", errRecord)
	}
	return auth.Record{
		Status: s.Status, User: string(s.User), By: s.By, Method: s.Method, Address: s.Address,
		Call: auth.Call{SessionID: s.Session, Port: s.Port, PortID: s.PortID, Remote: s.Remote, Local: s.Local,
			ClientName: string(s.Host), RASName: string(s.RASName), RASVersion: string(s.RASVer), Group: s.Group, Info: s.Info, Multi: s.Multi, Links: s.Links},
		IPv6:  auth.IPv6{Address: s.Address6, Prefix: s.Prefix6, Delegated: s.Delegated, Interface: s.Interface},
		Class: s.Class, LogonDomain: s.Domain, Time: s.Time, Duration: s.Duration,
		InputOctets: s.InOctets, OutputOctets: s.OutOctets, InputPackets: s.InPkts, OutputPackets: s.OutPkts, Cause: s.Cause,
	}, nil
}
