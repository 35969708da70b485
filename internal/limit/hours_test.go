package limit

import (
	"testing"
	"time"
)

func TestHoursByTheClock(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	work := Hours{Days: [7]bool{1: true, 2: true, 3: true, 4: true, 5: true}, From: 7 * time.Hour, To: 19 * time.Hour}
	night := Hours{Days: [7]bool{6: true}, From: 22 * time.Hour, To: 30 * time.Hour}
	all := Hours{Days: [7]bool{true, true, true, true, true, true, true}, To: 24 * time.Hour}
	for _, x := range []struct {
		hours []Hours
		at    string
		open  bool
		next  string // "": never
	}{
		{nil, "2026-11-30T12:00:00", true, ""},
		{[]Hours{all}, "2026-11-30T12:00:00", true, ""},
		{[]Hours{work}, "2026-11-30T12:00:00", true, "2026-11-30T19:00:00"},
		{[]Hours{work}, "2026-11-30T19:00:00", false, "2026-12-01T07:00:00"},
		{[]Hours{work}, "2026-12-04T20:00:00", false, "2026-12-07T07:00:00"},
		{[]Hours{night}, "2026-11-30T12:00:00", false, "2026-12-05T22:00:00"},
		{[]Hours{night}, "2026-12-06T05:59:59", true, "2026-12-06T06:00:00"},
		{[]Hours{night}, "2026-12-06T22:00:00", false, "2026-12-12T22:00:00"},
		{[]Hours{work, night}, "2026-12-05T12:00:00", false, "2026-12-05T22:00:00"},
		// The clock is put forward in the night to the 29th of March, and back in that to the 25th of October.
		{[]Hours{night}, "2026-03-29T01:00:00", true, "2026-03-29T06:00:00"},
		{[]Hours{night}, "2026-10-25T05:30:00", true, "2026-10-25T06:00:00"},
		{[]Hours{work}, "2026-03-29T12:00:00", false, "2026-03-30T07:00:00"},
	} {
		read := func(s string) time.Time {
			at, err := time.ParseInLocation("2006-01-02T15:04:05", s, berlin)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		now := read(x.at)
		if Open(x.hours, now) != x.open {
			t.Errorf("%s: open is %v", x.at, !x.open)
		}
		var want time.Time
		if x.next != "" {
			want = read(x.next)
		}
		if got := Change(x.hours, now); !got.Equal(want) {
			t.Errorf("%s: it changes at %v, want %v", x.at, got, want)
		}
	}
}

func TestHoursAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]string{
		"Mo-Fr 07:00-19:00":          "Mo,Tu,We,Th,Fr 07:00-19:00",
		"fr-mo 7:30-24:00":           "Mo,Fr,Sa,Su 07:30-24:00",
		"Sa,Su":                      "Sa,Su 00:00-24:00",
		"22:00-06:00":                "Mo,Tu,We,Th,Fr,Sa,Su 22:00-06:00",
		"Mo,We-Th 00:00-23:59":       "Mo,We,Th 00:00-23:59",
		"Mo,Tu,We,Th,Fr 07:00-19:00": "Mo,Tu,We,Th,Fr 07:00-19:00",
	} {
		var h, again Hours
		if err := h.UnmarshalText([]byte(text)); err != nil || h.String() != want {
			t.Errorf("%q: %q, %v", text, h, err)
		}
		if err := again.UnmarshalText([]byte(h.String())); err != nil || again != h {
			t.Errorf("%q is read as %q: %v", h, again, err)
		}
	}
	for _, text := range []string{"", "Mo-Fr 7-19", "Mo-", "Mo 25:00-26:00", "Mo 07:60-08:00", "Mo 07:00-07:00", "Mo 07:00", "07:00-19:00 Mo", "Mo Tu", "Mo 07:00-19:00 x", "Mo 24:00-02:00", "-", ",", "Xx"} {
		var h Hours
		if err := h.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %q", text, h)
		}
	}
}
