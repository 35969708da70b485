package ike

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/ike/isakmp"
)

// windowsMM1 is message 1 of Windows 8 to 11, byte for byte.
func windowsMM1(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("isakmp/testdata/windows-mm1.hex")
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			digits.WriteString(line)
		}
	}
	return unhex(t, digits.String())
}

// answerEnv is a server's environment that yields a known cookie.
func answerEnv() Env {
	env := newEnd("server", 0x20).env
	env.Cookie = func(Path, [8]byte) [8]byte { return [8]byte{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88} }
	return env
}

var serverPath = Path{
	Local:  netip.MustParseAddrPort("203.0.113.1:500"),
	Remote: netip.MustParseAddrPort("198.51.100.7:500"),
}

func TestWindowsIsAnsweredWithItsOwnBytes(t *testing.T) {
	embryo, reply, err := Answer(answerEnv(), serverPath, windowsMM1(t), epoch)
	if err != nil {
		t.Fatal(err)
	}
	// One transform, the third one, unchanged, with its lifetime in the long form;
	// and RFC 3947 and fragmentation, the vendor IDs that both ends know.
	want := unhex(t, `
		a1b2c3d4e5f60718 1122334455667788 01 10 02 00 00000000 00000080
		0d00003c 00000001 00000001 00000030 01 01 00 01
		00000028 03010000 80010007 800e0100 80020002 8004000e 80030001 800b0001 000c000400007080
		0d000014 4a131c81070358455c5728f20e95452f
		00000014 4048b7d56ebce88525e7de7f00d6c2d3`)
	if !bytes.Equal(reply, want) {
		t.Errorf("message 2 is\n%x, want\n%x", reply, want)
	}
	if embryo.Kind != ClientWindows || embryo.NATT != NATTRFC3947 || embryo.DPD || embryo.Lifetime.Hours() != 8 {
		t.Errorf("embryo %+v", embryo)
	}
	if s := embryo.Suite.String(); s != "AES256-SHA1-MODP2048" {
		t.Errorf("suite %s", s)
	}
}

func TestServerOrderDecides(t *testing.T) {
	env := answerEnv()
	for _, want := range []Suite{
		{CipherAES, 256, HashSHA1, GroupECP384}, {CipherAES, 128, HashSHA1, GroupECP256},
		{Cipher3DES, 0, HashSHA1, GroupMODP1024},
	} {
		env.Policy.Suites = append([]Suite{want}, DefaultSuites()...)
		if embryo, _, err := Answer(env, serverPath, windowsMM1(t), epoch); err != nil || embryo.Suite != want {
			t.Errorf("with %v first in the policy the suite is %v, %v", want, embryo.Suite, err)
		}
	}
}

// firstMessage writes a message 1.
func firstMessage(transforms []isakmp.Transform, vendor ...string) []byte {
	payloads := []isakmp.Payload{isakmp.SA{Proposals: []isakmp.Proposal{{
		Number: 1, Protocol: isakmp.ProtocolISAKMP, Transforms: transforms,
	}}}}
	for _, v := range vendor {
		payloads = append(payloads, isakmp.VendorID(v))
	}
	return isakmp.AppendMessage(nil, isakmp.Header{
		InitiatorCookie: [8]byte{1}, Version: isakmp.Version1, Exchange: ExchangeMain,
	}, payloads...)
}

// transform makes a transform of phase 1 with short attributes, type and value
// in turn.
func transform(id uint8, attributes ...uint16) isakmp.Transform {
	t := isakmp.Transform{Number: 1, ID: id}
	for i := 0; i < len(attributes); i += 2 {
		t.Attributes = append(t.Attributes, isakmp.ShortAttribute(attributes[i], attributes[i+1]))
	}
	return t
}

func TestPhase1TransformsThatWeCannotUse(t *testing.T) {
	good := []uint16{1, 7, 14, 256, 2, 2, 4, 14, 3, 1, 11, 1, 12, 3600}
	tests := []struct {
		name  string
		t     isakmp.Transform
		taken bool
	}{
		{"all there", transform(1, good...), true},
		{"in another order", transform(1, 11, 1, 12, 3600, 3, 1, 4, 14, 2, 2, 14, 256, 1, 7), true},
		{"AES without a key length is AES-128", transform(1, 1, 7, 2, 2, 4, 14, 3, 1), true},
		{"3DES with a key length", transform(1, 1, 5, 14, 192, 2, 2, 4, 14, 3, 1), true},
		{"an unknown attribute", transform(1, append(good, 16000, 1)...), true},
		{"a field size", transform(1, append(good, 15, 2048)...), true},
		{"another transform", transform(2, good...), false},
		{"DES", transform(1, 1, 1, 2, 2, 4, 14, 3, 1), false},
		{"Blowfish", transform(1, 1, 3, 14, 128, 2, 2, 4, 14, 3, 1), false},
		{"AES-512", transform(1, 1, 7, 14, 512, 2, 2, 4, 14, 3, 1), false},
		{"MD5, which is opt-in", transform(1, 1, 7, 14, 256, 2, 1, 4, 14, 3, 1), false},
		{"Tiger", transform(1, 1, 7, 14, 256, 2, 3, 4, 14, 3, 1), false},
		{"group 1", transform(1, 1, 7, 14, 256, 2, 2, 4, 1, 3, 1), false},
		{"no group", transform(1, 1, 7, 14, 256, 2, 2, 3, 1), false},
		{"a group of its own", transform(1, append(good, 6, 23)...), false},
		{"a PRF", transform(1, append(good, 13, 1)...), false},
		{"two ciphers", transform(1, append(good, 1, 5)...), false},
		{"certificates", transform(1, 1, 7, 14, 256, 2, 2, 4, 14, 3, 3), false},
		{"XAUTH with a pre-shared key", transform(1, 1, 7, 14, 256, 2, 2, 4, 14, 3, 65001), false},
	}
	for _, tt := range tests {
		msg := firstMessage([]isakmp.Transform{transform(1, 1, 1, 2, 2, 4, 1, 3, 1), tt.t})
		embryo, reply, err := Answer(answerEnv(), serverPath, msg, epoch)
		switch {
		case len(reply) > len(msg):
			t.Errorf("%s: %d bytes are answered with %d", tt.name, len(msg), len(reply))
		case tt.taken && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.taken:
			if !bytes.Contains(reply, tt.t.AppendBody(nil)) {
				t.Errorf("%s: the transform is not echoed in %x", tt.name, reply)
			}
		case !errors.Is(err, ErrNoProposal) || embryo.Reply != nil:
			t.Errorf("%s: %+v, %v; want ErrNoProposal and no embryo", tt.name, embryo.Suite, err)
		default:
			raws, _, perr := isakmp.Chain(isakmp.PayloadType(reply[16]), reply[isakmp.HeaderLen:])
			if perr != nil || len(raws) != 1 || raws[0].Kind != isakmp.PayloadNotify || Exchange(reply[18]) != ExchangeInformational {
				t.Fatalf("%s: reply %x", tt.name, reply)
			}
			if n, err := isakmp.ParseNotify(raws[0].Body); err != nil || n.Message != isakmp.NotifyNoProposalChosen {
				t.Errorf("%s: notify %v, %v", tt.name, n.Message, err)
			}
		}
	}
}

func TestNoProposalSaysWhatWasOffered(t *testing.T) {
	md5 := transform(1, 1, 7, 14, 256, 2, 1, 4, 14, 3, 1)
	certificates := transform(1, 1, 7, 14, 256, 2, 2, 4, 14, 3, 3)
	_, _, err := Answer(answerEnv(), serverPath, firstMessage([]isakmp.Transform{md5, certificates}), epoch)
	var no *NoProposal
	if !errors.As(err, &no) || !slices.Equal(no.Offered, []string{"AES256-MD5-MODP2048", "AES256-SHA1-MODP2048 by RSA signature"}) || !no.ByAuth || len(no.Auth) != 1 {
		t.Errorf("error %+v", err)
	}
}

// A policy without suites must refuse, not fail (compare CVE-2024-3652).
func TestEmptyPolicyRefuses(t *testing.T) {
	env := answerEnv()
	env.Policy = &Policy{}
	if _, reply, err := Answer(env, serverPath, windowsMM1(t), epoch); !errors.Is(err, ErrNoProposal) || len(reply) > 408 {
		t.Errorf("%x, %v", reply, err)
	}
}

func TestOneNATTVendorIDIsAnswered(t *testing.T) {
	suite := []isakmp.Transform{transform(1, 1, 7, 14, 256, 2, 2, 4, 14, 3, 1)}
	tests := []struct {
		name    string
		offered []string
		want    []string
		natt    NATTVersion
	}{
		{"nothing offered", nil, nil, NATTNone},
		{"all that Apple sends", []string{
			vidRFC3947, vidApple, vidNATTDraft03, vidNATTDraft02, vidNATTDraft02N, vidFragmentation8, vidDPD,
		}, []string{vidRFC3947, vidDPD, vidFragmentation8}, NATTRFC3947},
		{"Apple's own", []string{vidApple}, nil, NATTNone},
		{"draft-02 with a line feed", []string{vidNATTDraft02N, vidNATTDraft02}, []string{vidNATTDraft02N}, NATTDraft02N},
		{"draft-02", []string{vidNATTDraft02}, []string{vidNATTDraft02}, NATTDraft02},
		{"draft-03", []string{vidNATTDraft02N, vidNATTDraft03}, []string{vidNATTDraft03}, NATTDraft03},
		{"the same twice", []string{vidRFC3947, vidRFC3947}, []string{vidRFC3947}, NATTRFC3947},
		{"draft-00", []string{vidNATTDraft00}, nil, NATTNone},
		{"fragmentation without a word", []string{vidFragmentation}, []string{vidFragmentation}, NATTNone},
		{"fragmentation of Cisco", []string{vidFragmentation + "\xc0\x00\x00\x00"}, []string{vidFragmentation + "\xc0\x00\x00\x00"}, NATTNone},
		{"fragmentation in Base Mode only", []string{vidFragmentation + "\x40\x00\x00\x00"}, nil, NATTNone},
		{"what only begins so", []string{vidFragmentation + "\x80"}, nil, NATTNone},
	}
	for _, tt := range tests {
		env := answerEnv()
		env.Policy.VendorIDs = append(DefaultVendorIDs(), DefaultVendorIDs()...)
		embryo, reply, err := Answer(env, serverPath, firstMessage(suite, tt.offered...), epoch)
		if err != nil {
			t.Fatal(err)
		}
		raws, _, err := isakmp.Chain(isakmp.PayloadSA, reply[isakmp.HeaderLen:])
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range raws[1:] {
			got = append(got, string(r.Body))
		}
		if strings.Join(got, "|") != strings.Join(tt.want, "|") || embryo.NATT != tt.natt ||
			embryo.Fragments != strings.Contains(strings.Join(tt.want, "|"), vidFragmentation) {
			t.Errorf("%s: answered with %x and NAT-T %v", tt.name, got, embryo.NATT)
		}
	}
}

func TestVendorIDsAreHashesOfTheirNames(t *testing.T) {
	for id, name := range map[string]string{
		vidRFC3947: "RFC 3947", vidNATTDraft03: "draft-ietf-ipsec-nat-t-ike-03",
		vidNATTDraft02N: "draft-ietf-ipsec-nat-t-ike-02\n", vidNATTDraft02: "draft-ietf-ipsec-nat-t-ike-02",
		vidNATTDraft00: "draft-ietf-ipsec-nat-t-ike-00", vidApple: "draft-ietf-ipsec-nat-t-ike",
		vidMicrosoft: "MS NT5 ISAKMPOAKLEY", vidMicrosoftVIC: "Vid-Initial-Contact",
		vidMicrosoftNego: "MS-Negotiation Discovery Capable", vidFragmentation: "FRAGMENTATION",
		vidStrongSwan: "strongSwan",
	} {
		if sum := md5.Sum([]byte(name)); string(sum[:]) != id {
			t.Errorf("%q is %x, want %x", name, id, sum)
		}
	}
	if hex.EncodeToString([]byte(vidDPD)) != "afcad71368a1f1c96b8696fc77570100" { // RFC 3706, section 5.1
		t.Error("DPD's vendor ID")
	}
}

func TestClientKinds(t *testing.T) {
	tests := []struct {
		want ClientKind
		vid  []string
	}{
		{ClientUnknown, nil},
		{ClientUnknown, []string{vidRFC3947, vidDPD}},
		{ClientWindows, []string{vidRFC3947, vidMicrosoft + "\x00\x00\x00\x08"}},
		{ClientWindows, []string{vidMicrosoftVIC}},
		{ClientApple, []string{vidRFC3947, vidApple, vidDPD}},
		{ClientAndroid, []string{vidRFC3947, vidNATTDraft02, vidNATTDraft02N, vidNATTDraft00, vidFragmentation8, vidDPD}},
		{ClientStrongSwan, []string{vidXAuth, vidDPD, vidFragmentation8, vidRFC3947, vidNATTDraft02N}},
		{ClientLibreswan, []string{"OE-Libreswan-4.12", vidDPD}},
	}
	for _, tt := range tests {
		var list [][]byte
		for _, v := range tt.vid {
			list = append(list, []byte(v))
		}
		if got := classify(list); got != tt.want {
			t.Errorf("%x is %v, want %v", tt.vid, got, tt.want)
		}
	}
}

func TestFirstMessagesThatAreDropped(t *testing.T) {
	good := windowsMM1(t)
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	huge := transform(1, 1, 7, 14, 256, 2, 2, 4, 14, 3, 1)
	huge.Attributes = append(huge.Attributes, isakmp.Attribute{Type: 99, Value: make([]byte, maxOfferBody)})
	unspecified := serverPath
	unspecified.Local = netip.MustParseAddrPort("0.0.0.0:500")
	tests := []struct {
		name string
		path Path
		msg  []byte
		want error
	}{
		{"empty", serverPath, nil, ErrMalformed},
		{"cut short", serverPath, good[:400], ErrMalformed},
		{"IKEv2", serverPath, change(17, 0x20), ErrVersion},
		{"Quick Mode", serverPath, change(18, 32), ErrUnexpected},
		{"encrypted", serverPath, change(19, 1), ErrUnexpected},
		{"with a responder's cookie", serverPath, change(8, 1), ErrUnexpected},
		{"with a message id", serverPath, change(20, 1), ErrUnexpected},
		{"without an SA first", serverPath, change(16, 13), ErrUnexpected},
		{"of another DOI", serverPath, change(35, 2), ErrMalformed},
		{"two SAs", serverPath, isakmp.AppendMessage(nil, isakmp.Header{
			InitiatorCookie: [8]byte{1}, Version: isakmp.Version1, Exchange: ExchangeMain,
		}, isakmp.SA{}, isakmp.SA{}), ErrMalformed},
		{"an SA of more than 2 KB", serverPath, firstMessage([]isakmp.Transform{huge}), ErrMalformed},
		{"at no address of ours", unspecified, good, ErrUnexpected},
	}
	for _, tt := range tests {
		if _, reply, err := Answer(answerEnv(), tt.path, tt.msg, epoch); !errors.Is(err, tt.want) || reply != nil {
			t.Errorf("%s: %x, %v; want silence and %v", tt.name, reply, err, tt.want)
		}
	}
}

func TestDuplicateFirstMessageIsAnsweredFromTheEmbryo(t *testing.T) {
	msg := windowsMM1(t)
	embryo, reply, err := Answer(answerEnv(), serverPath, msg, epoch)
	if err != nil {
		t.Fatal(err)
	}
	if again := embryo.Again(bytes.Clone(msg)); !bytes.Equal(again, reply) {
		t.Errorf("the duplicate is answered with %x", again)
	}
	other := bytes.Clone(msg)
	other[len(other)-1] ^= 1
	if again := embryo.Again(other); again != nil {
		t.Errorf("another message with the same cookie is answered with %x", again)
	}
	if embryo.In != 2*len(msg) || embryo.Out != 2*len(reply) {
		t.Errorf("%d bytes in, %d out", embryo.In, embryo.Out)
	}
	if again := new(Embryo).Again(msg); again != nil {
		t.Error("an empty place in the ring answers")
	}
}

func TestPeek(t *testing.T) {
	h, err := Peek(windowsMM1(t))
	if err != nil || !h.FirstMessage() || h.Exchange != ExchangeMain || h.Length != 408 || h.Cookies.Initiator[0] != 0xa1 {
		t.Errorf("%+v, %v", h, err)
	}
	msg := isakmp.AppendMessage(nil, isakmp.Header{
		InitiatorCookie: [8]byte{1}, ResponderCookie: [8]byte{2}, Version: 0x11,
		Exchange: ExchangeQuick, MessageID: 7, Flags: isakmp.FlagEncryption,
	})
	h, err = Peek(msg)
	if err != nil || h.FirstMessage() || !h.Encrypted || h.MessageID != 7 {
		t.Errorf("a higher minor version: %+v, %v", h, err)
	}
}
