package conf

import (
	"slices"
	"strings"
	"testing"
)

func TestCompressionIsOffUnlessItIsNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		text, environ string
		want          []Compression
		err           string
	}{
		"nothing":            {},
		"an empty list":      {text: "[ppp]\ncompression = []"},
		"one":                {text: "[ppp]\ncompression = [\"mppc\"]", want: []Compression{MPPC}},
		"both":               {text: "[ppp]\ncompression = [\"deflate\", \"mppc\"]", want: []Compression{Deflate, MPPC}},
		"in the environment": {environ: "ADIT_PPP_COMPRESSION=mppc,deflate", want: []Compression{MPPC, Deflate}},
		"twice":              {text: "[ppp]\ncompression = [\"mppc\", \"mppc\"]", err: `ppp.compression: names "mppc" twice: leave one out`},
		"another":            {text: "[ppp]\ncompression = [\"stac\"]", err: `ppp.compression[0]: "stac" is not one of mppc, deflate`},
		"encryption":         {text: "[ppp]\ncompression = [\"mppe\"]", err: `ppp.compression[0]: "mppe" is not one of mppc, deflate`},
		"no list":            {text: "[ppp]\ncompression = true", err: "ppp.compression: "},
		"another key":        {text: "[ppp]\ncompressor = [\"mppc\"]", err: `ppp.compressor: unknown key`},
	} {
		environ := []string{"ADIT_IPSEC_PSK=" + goodPSK, "ADIT_USERS=a:b"}
		if tt.environ != "" {
			environ = append(environ, tt.environ)
		}
		c, err := load(t, tt.text, environ...)
		switch {
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: got %v, want %s", name, err, tt.err)
		case tt.err == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.err == "" && !slices.Equal(c.PPP.Compression, tt.want):
			t.Errorf("%s: %v, want %v", name, c.PPP.Compression, tt.want)
		}
	}
}
