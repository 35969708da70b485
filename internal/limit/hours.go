package limit

import (
	"slices"
	"time"
)

// at is a time by the clock of a day, whatever the clock was changed by on it.
func at(day time.Time, days int, clock time.Duration) time.Time {
	y, m, d := day.Date()
	return time.Date(y, m, d+days, 0, int(clock/time.Minute), 0, 0, day.Location())
}

// has reports whether a time is within these hours.
func (h *Hours) has(t time.Time) bool {
	for _, days := range []int{-1, 0} {
		day := at(t, days, 0).Weekday()
		if h.Days[day] && !t.Before(at(t, days, h.From)) && t.Before(at(t, days, h.To)) {
			return true
		}
	}
	return false
}

// Open reports whether a time is within any of the hours, of which none means always.
func Open(hours []Hours, t time.Time) bool {
	return len(hours) == 0 || slices.ContainsFunc(hours, func(h Hours) bool { return h.has(t) })
}

// Change is when hours begin or end next; zero: never.
func Change(hours []Hours, now time.Time) (next time.Time) {
	was := Open(hours, now)
	for i := range hours {
		for days := -1; days <= 8; days++ {
			for _, clock := range []time.Duration{hours[i].From, hours[i].To} {
				t := at(now, days, clock)
				if t.After(now) && Open(hours, t) != was && (next.IsZero() || t.Before(next)) {
					next = t
				}
			}
		}
	}
	return next
}
