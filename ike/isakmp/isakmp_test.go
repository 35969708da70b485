package isakmp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/adit-vpn/adit/internal/machine/machinetest"
)

// vector reads a file of hexadecimal digits with comments.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			digits.WriteString(strings.Join(strings.Fields(line), ""))
		}
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWindowsFirstMessage(t *testing.T) {
	msg := vector(t, "windows-mm1.hex")
	h, body, err := ParseHeader(msg)
	if err != nil {
		t.Fatal(err)
	}
	want := Header{
		InitiatorCookie: [8]byte{0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 7, 0x18},
		Next:            PayloadSA, Version: Version1, Exchange: ExchangeMain, Length: 408,
	}
	if h != want {
		t.Errorf("header %+v, want %+v", h, want)
	}
	raws, rest, err := Chain(h.Next, body)
	if err != nil || len(rest) != 0 || len(raws) != 9 {
		t.Fatalf("%d payloads, rest %d, %v; want an SA and eight vendor IDs", len(raws), len(rest), err)
	}
	sa, err := ParseSA(raws[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(sa.Proposals) != 1 || len(sa.Proposals[0].Transforms) != 5 {
		t.Fatalf("SA %+v, want one proposal of five transforms", sa)
	}
	third := Transform{3, TransformKeyIKE, []Attribute{
		ShortAttribute(1, 7), ShortAttribute(14, 256), ShortAttribute(2, 2), ShortAttribute(4, 14),
		ShortAttribute(3, 1), ShortAttribute(11, 1), LongAttribute(12, 28800),
	}}
	if diff := cmp.Diff(third, sa.Proposals[0].Transforms[2]); diff != "" {
		t.Errorf("third transform (-want +got):\n%s", diff)
	}

	payloads := []Payload{sa}
	for _, r := range raws[1:] {
		payloads = append(payloads, VendorID(r.Body))
	}
	if got := AppendMessage(nil, Header{InitiatorCookie: h.InitiatorCookie, Version: Version1, Exchange: ExchangeMain}, payloads...); !bytes.Equal(got, msg) {
		t.Errorf("written back it is\n%x, want\n%x", got, msg)
	}
}

// everything is a chain that has each payload type once.
func everything() []Payload {
	return []Payload{
		SA{[]Proposal{
			{1, ProtocolESP, []byte{1, 2, 3, 4}, []Transform{
				{1, TransformESPAES, []Attribute{ShortAttribute(4, 2), LongAttribute(2, 3600), {6, false, []byte{}}}},
				{2, TransformESP3DES, nil},
			}},
			{2, ProtocolAH, []byte{}, []Transform{{1, 2, nil}}},
		}},
		KE{1, 2, 3},
		AddrID(netip.MustParseAddr("192.0.2.7"), 17, 1701),
		AddrID(netip.MustParseAddr("2001:db8::7"), 17, 0),
		ID{IDKeyID, 0, 0, []byte("group")},
		Hash("01234567890123456789"),
		Nonce("0123456789abcdef"),
		Notify{ProtocolISAKMP, make([]byte, 16), NotifyRUThere, []byte{0, 0, 0, 9}},
		Delete{ProtocolESP, [][]byte{{1, 2, 3, 4}, {5, 6, 7, 8}}},
		VendorID("vendor"),
		NATD{Hash: []byte("hash")}, NATD{Hash: []byte("hash"), Draft: true},
		NATOA{Addr: netip.MustParseAddr("10.0.0.1")}, NATOA{Addr: netip.MustParseAddr("2001:db8::1"), Draft: true},
		Fragment{7, 2, true, []byte("piece")},
		Cert{CertX509, []byte("certificate")}, CertRequest{CertX509, []byte("name")}, CertRequest{CertX509, []byte{}},
		Signature("signature"),
		Raw{PayloadType(99), []byte{1, 2}},
	}
}

func parse(r Raw) (Payload, error) {
	switch r.Kind {
	case PayloadSA:
		return ParseSA(r.Body)
	case PayloadKE:
		return ParseKE(r.Body)
	case PayloadID:
		return ParseID(r.Body)
	case PayloadHash:
		return ParseHash(r.Body)
	case PayloadNonce:
		return ParseNonce(r.Body)
	case PayloadNotify:
		return ParseNotify(r.Body)
	case PayloadDelete:
		return ParseDelete(r.Body)
	case PayloadVendorID:
		return VendorID(r.Body), nil
	case PayloadNATD, PayloadNATDDraft:
		return NATD{r.Body, r.Kind == PayloadNATDDraft}, nil
	case PayloadNATOA, PayloadNATOADraft:
		addr, err := ParseNATOA(r.Body)
		return NATOA{addr, r.Kind == PayloadNATOADraft}, err
	case PayloadFragment:
		return ParseFragment(r.Body)
	case PayloadCert:
		return ParseCert(r.Body)
	case PayloadCertRequest:
		return ParseCertRequest(r.Body)
	case PayloadSignature:
		return Signature(r.Body), nil
	default:
		return r, nil
	}
}

func TestEveryPayloadSurvivesARoundTrip(t *testing.T) {
	want := everything()
	msg := AppendMessage(nil, Header{Version: Version1, Exchange: ExchangeQuick, MessageID: 7, Flags: FlagCommit}, want...)
	h, body, err := ParseHeader(msg)
	if err != nil {
		t.Fatal(err)
	}
	raws, rest, err := Chain(h.Next, append(body, 0, 0, 0))
	if err != nil || len(rest) != 3 {
		t.Fatalf("rest %x, %v; want the three bytes of padding", rest, err)
	}
	for i, r := range raws {
		got, err := parse(r)
		if err != nil {
			t.Errorf("%v: %v", r.Kind, err)
			continue
		}
		if diff := cmp.Diff(want[i], got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%v (-want +got):\n%s", r.Kind, diff)
		}
	}
}

func TestEveryStrictPrefixFails(t *testing.T) {
	list := everything()
	msg := AppendMessage(nil, Header{Version: Version1}, list...)
	for n := range msg {
		if _, _, err := ParseHeader(msg[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("the first %d bytes of a message parse: %v", n, err)
		}
	}
	for n := range len(msg) - HeaderLen {
		if _, _, err := Chain(First(list), msg[HeaderLen:][:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("the first %d bytes of a chain parse: %v", n, err)
		}
	}
	for _, p := range list {
		body := p.AppendBody(nil)
		switch p.(type) {
		case KE, Hash, VendorID, Raw, NATD, Nonce, Signature: // any length will do
			continue
		case Notify, Delete:
			body = body[:8] // as many SPIs as there is room for
		case ID:
			body = body[:min(len(body), 4)]
		case Fragment:
			body = body[:5]
		case Cert:
			body = body[:2]
		case CertRequest:
			body = body[:1]
		}
		for n := range body {
			if p, err := parse(Raw{p.Type(), body[:n]}); !errors.Is(err, ErrMalformed) {
				t.Errorf("the first %d bytes of %v parse: %v", n, p, err)
			}
		}
	}
}

func TestMalformed(t *testing.T) {
	tests := []struct {
		name string
		err  error
	}{
		{"shorter than the header says", second(ParseHeader(AppendMessage(nil, Header{}, KE{1})[:HeaderLen+4]))},
		{"a header that says that it is shorter", second(ParseHeader(Header{Length: HeaderLen - 1}.Append(nil)))},
		{"payload shorter than its header", second(Chain(PayloadKE, []byte{0, 0, 0, 3}))},
		{"endless chain", second(Chain(PayloadVendorID, bytes.Repeat([]byte{13, 0, 0, 4}, MaxPayloads+1)))},
		{"short nonce", first(ParseNonce(make([]byte, 7)))},
		{"long nonce", first(ParseNonce(make([]byte, 257)))},
		{"empty KE", first(ParseKE(nil))},
		{"SA of another DOI", first(ParseSA([]byte{0, 0, 0, 2, 0, 0, 0, 1}))},
		{"SA in another situation", first(ParseSA([]byte{0, 0, 0, 1, 0, 0, 0, 3}))},
		{"transform missing", first(ParseSA([]byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8, 1, 1, 0, 1}))},
		{"KE among proposals", first(ParseSA(append([]byte{0, 0, 0, 1, 0, 0, 0, 1, 4, 0, 0, 8, 1, 1, 0, 0}, 0, 0, 0, 4)))},
		{"IPv4 identification of 3 bytes", first(ParseID([]byte{1, 0, 0, 0, 1, 2, 3}))},
		{"delete of 7 bytes", first(ParseDelete([]byte{0, 0, 0, 1, 3, 0, 0xff}))},
		{"notify of 7 bytes", first(ParseNotify([]byte{0, 0, 0, 1, 1, 16, 0}))},
		{"fragment 0", first(ParseFragment([]byte{0, 1, 0, 0, 'x'}))},
		{"fragment of nothing", first(ParseFragment([]byte{0, 1, 1, 1}))},
		{"NAT-OA of a name", first(ParseNATOA([]byte{2, 0, 0, 0, 'x'}))},
	}
	for _, tt := range tests {
		if !errors.Is(tt.err, ErrMalformed) {
			t.Errorf("%s: error %v, want ErrMalformed", tt.name, tt.err)
		}
	}
}

// Bytes behind the end that a message or a payload names are padding, and a
// verified Delete is obeyed even if its count of SPIs is wrong.
func TestWhatSurroundsAPayloadIsPassedOver(t *testing.T) {
	padding := []byte{0xde, 0xad, 0xbe}
	msg := AppendMessage(nil, Header{Version: Version1}, Nonce(make([]byte, 8)))
	for _, n := range []int{1, 3, 400} {
		h, body, err := ParseHeader(append(bytes.Clone(msg), make([]byte, n)...))
		if err != nil || int(h.Length) != len(msg) || len(body) != len(msg)-HeaderLen || cap(body) != len(body) {
			t.Errorf("with %d bytes behind it: %+v, body of %d bytes, %v", n, h, len(body), err)
		}
	}
	if _, _, err := ParseHeader(msg[:len(msg)-1]); !errors.Is(err, ErrTruncated) || !errors.Is(err, ErrMalformed) {
		t.Errorf("a message that is cut short: %v", err)
	}
	for _, want := range everything() {
		switch want.(type) {
		case SA, NATOA:
			got, err := parse(Raw{want.Type(), append(want.AppendBody(nil), padding...)})
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || diff != "" {
				t.Errorf("%v with bytes behind it: %v\n%s", want.Type(), err, diff)
			}
		}
	}
	transform := Transform{1, 1, []Attribute{ShortAttribute(1, 7)}}
	got, err := parseTransform(append(transform.AppendBody(nil), padding...))
	if diff := cmp.Diff(transform, got); err != nil || diff != "" {
		t.Errorf("a transform with bytes behind it: %v\n%s", err, diff)
	}
	one, two := []byte{1, 2, 3, 4}, []byte{5, 6, 7, 8}
	both := append(bytes.Clone(one), two...)
	for name, tt := range map[string]struct {
		head []byte // from the DOI on
		spis []byte
		want [][]byte
	}{
		"as it should be":         {[]byte{0, 0, 0, 1, 3, 4, 0, 2}, both, [][]byte{one, two}},
		"with bytes behind it":    {[]byte{0, 0, 0, 1, 3, 4, 0, 1}, append(bytes.Clone(one), padding...), [][]byte{one}},
		"of another DOI":          {[]byte{0, 0, 0, 9, 3, 4, 0, 1}, one, [][]byte{one}},
		"without a size":          {[]byte{0, 0, 0, 1, 3, 0, 0, 1}, one, [][]byte{one}},
		"with ISAKMP's size":      {[]byte{0, 0, 0, 1, 3, 16, 0, 1}, one, [][]byte{one}},
		"that counts too many":    {[]byte{0, 0, 0, 1, 3, 4, 0, 9}, both, [][]byte{one, two}},
		"size and count of bytes": {[]byte{0, 0, 0, 1, 3, 1, 0, 4}, one, [][]byte{one}},
		"of half an ISAKMP SA":    {[]byte{0, 0, 0, 1, 1, 8, 0, 1}, both, [][]byte{both}},
		"of nothing":              {[]byte{0, 0, 0, 1, 1, 0, 0, 0}, nil, [][]byte{{}}},
	} {
		d, err := ParseDelete(append(bytes.Clone(tt.head), tt.spis...))
		if diff := cmp.Diff(tt.want, d.SPIs, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("a Delete %s: %v\n%s", name, err, diff)
		}
	}
}

func first[T any](_ T, err error) error          { return err }
func second[T, U any](_ T, _ U, err error) error { return err }

func TestReservedBytesAreTolerated(t *testing.T) {
	raws, _, err := Chain(PayloadKE, []byte{0, 0xff, 0, 5, 1})
	if err != nil || len(raws) != 1 {
		t.Errorf("a filled reserved byte of a payload header: %v", err)
	}
	if addr, err := ParseNATOA([]byte{1, 9, 9, 9, 192, 0, 2, 1}); err != nil || addr != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("filled reserved bytes of a NAT-OA: %v, %v", addr, err)
	}
}

func TestAttributeNumbers(t *testing.T) {
	for _, tt := range []struct {
		a    Attribute
		want uint64
		ok   bool
	}{
		{ShortAttribute(12, 3600), 3600, true},
		{LongAttribute(12, 250000), 250000, true},
		{Attribute{12, false, []byte{1}}, 1, true},
		{Attribute{12, false, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 5}}, 5, true},
		{Attribute{12, false, bytes.Repeat([]byte{0xff}, 8)}, 1<<64 - 1, true},
		{Attribute{12, false, bytes.Repeat([]byte{0xff}, 9)}, 0, false},
		{Attribute{12, false, nil}, 0, false},
	} {
		if v, ok := tt.a.Uint(); v != tt.want || ok != tt.ok {
			t.Errorf("%x is %d, %v; want %d, %v", tt.a.Value, v, ok, tt.want, tt.ok)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(vector(f, "windows-mm1.hex"))
	f.Add(AppendMessage(nil, Header{Version: Version1, Exchange: ExchangeQuick}, everything()...))
	for _, p := range everything() {
		f.Add(AppendMessage(nil, Header{Version: Version1}, p))
	}
	for _, msg := range machinetest.Seeds(f, "ike") {
		f.Add(msg)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		h, body, err := ParseHeader(msg)
		if err != nil {
			return
		}
		if got := h.Append(nil); !bytes.Equal(got, msg[:HeaderLen]) {
			t.Fatalf("header written back is %x, was %x", got, msg[:HeaderLen])
		}
		raws, rest, err := Chain(h.Next, body)
		if err != nil {
			return
		}
		n := len(rest)
		for _, r := range raws {
			n += payloadHeaderLen + len(r.Body)
			p, err := parse(r)
			if err != nil {
				continue
			}
			again, err := parse(Raw{p.Type(), p.AppendBody(nil)})
			if err != nil {
				t.Fatalf("%v written back does not parse: %v", p.Type(), err)
			}
			if a, b := p.AppendBody(nil), again.AppendBody(nil); !bytes.Equal(a, b) {
				t.Fatalf("%v is %x and then %x", p.Type(), a, b)
			}
		}
		if n != len(body) {
			t.Fatalf("payloads and padding are %d bytes of %d", n, len(body))
		}
	})
}
