package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/adit-vpn/adit/conf"
	"github.com/adit-vpn/adit/ppp"
)

// Whoever turns compression on is told what it gives away: by adit check, in the log at the
// start, and in adit status.
func TestCompressionIsWarnedOf(t *testing.T) {
	c := conf.Default()
	warned := func() bool {
		return slices.ContainsFunc(warnings(c), func(w string) bool { return strings.Contains(w, "ppp.compression") })
	}
	if warned() {
		t.Error("warned of compression, which is off")
	}
	if c.PPP.Compression = []conf.Compression{conf.MPPC}; !warned() {
		t.Error("not warned of compression")
	}
	checked := slices.ContainsFunc(Check(c), func(f Finding) bool { return f.Warning && strings.Contains(f.What, "VORACLE") })
	if !checked {
		t.Error("adit check does not warn of it")
	}
}

func TestWhatASessionCompressesIsNamed(t *testing.T) {
	mppc, deflate := ppp.Codec{Compressor: ppp.CompressMPPC}, ppp.Codec{Compressor: ppp.CompressDeflate, Window: 15}
	for _, tt := range []struct {
		is   ppp.Compression
		want string
	}{
		{ppp.Compression{}, ""},
		{ppp.Compression{Open: true}, ""},
		{ppp.Compression{Send: mppc, Receive: mppc}, ""},
		{ppp.Compression{Send: mppc, Receive: mppc, Open: true}, "mppc"},
		{ppp.Compression{Send: deflate, Receive: ppp.Codec{Compressor: ppp.CompressDeflate, Window: 12}, Open: true}, "deflate"},
		{ppp.Compression{Send: mppc, Open: true}, "in none, out mppc"},
		{ppp.Compression{Send: mppc, Receive: deflate, Open: true}, "in deflate, out mppc"},
	} {
		if got := compressed(tt.is); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.is, got, tt.want)
		}
	}
}
