package limit

import "testing"

func TestRatesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]Rate{
		"10 Mbit/s": 10e6, "10M": 10e6, "10Mbps": 10e6, "512k": 512e3, "512 K": 512e3, "1.5M": 15e5, "2G": 2e9, "64000": 64000, "1 bit/s": 1, "": 0, "1T": 1e12,
	} {
		var r, again Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("%q: %d, %v", text, r, err)
		}
		written, _ := r.MarshalText()
		if err := again.UnmarshalText(written); err != nil || again != r {
			t.Errorf("%q is written as %q and read as %d: %v", text, written, again, err)
		}
	}
	for _, text := range []string{"fast", "10MB", "10 Mi", "-1", "0", "1e6", "2T", "10 M x", "M", "1..2", "10MBit"} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, r)
		}
	}
	for r, want := range map[Rate]string{10e6: "10 Mbit/s", 15e5: "1.5 Mbit/s", 64000: "64 kbit/s", 1: "1 bit/s", 1234567: "1234567 bit/s", 12345678901: "12345678901 bit/s"} {
		if got := r.String(); got != want {
			t.Errorf("%d: %s, want %s", r, got, want)
		}
	}
}

func TestOctetsAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]Octets{"50 GB": 50e9, "50G": 50e9, "2 GiB": 2 << 30, "512MiB": 512 << 20, "1 TiB": 1 << 40, "4 KiB": 4096, "1000": 1000, "": 0} {
		var o, again Octets
		if err := o.UnmarshalText([]byte(text)); err != nil || o != want {
			t.Errorf("%q: %d, %v", text, o, err)
		}
		written, _ := o.MarshalText()
		if err := again.UnmarshalText(written); err != nil || again != o {
			t.Errorf("%q is written as %q and read as %d: %v", text, written, again, err)
		}
	}
	for _, text := range []string{"much", "50 Gbit", "i", "5 i", "0", "-5G", "99999999999T"} {
		var o Octets
		if err := o.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %v", text, o)
		}
	}
}

func TestWhatIsLeftOfAVolume(t *testing.T) {
	for _, x := range []struct {
		v       Volume
		in, out uint64
		left    Octets
		limited bool
	}{
		{Volume{}, 5, 5, 0, false}, {Volume{In: 10}, 4, 100, 6, true}, {Volume{Out: 10}, 100, 4, 6, true}, {Volume{Total: 10}, 4, 4, 2, true},
		{Volume{In: 10, Total: 12}, 4, 6, 2, true}, {Volume{In: 5, Total: 100}, 4, 6, 1, true}, {Volume{Total: 10}, 40, 0, 0, true}, {Volume{In: 10, Out: 10}, 10, 0, 0, true},
	} {
		if left, ok := x.v.Left(x.in, x.out); left != x.left || ok != x.limited {
			t.Errorf("%v after %d and %d: %d, %v", x.v, x.in, x.out, left, ok)
		}
	}
}
