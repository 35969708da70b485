package limit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Hours are times of the week, as in "Mo-Fr 07:00-19:00", in the location of the time that
// is asked about.
type Hours struct {
	Days     [7]bool       // by time.Weekday: those on which it begins
	From, To time.Duration // since midnight, by the clock; To is after From, perhaps on the next day
}

// weekdays are the words for days, Sunday first, as time.Weekday has it.
var weekdays = [7]string{"Su", "Mo", "Tu", "We", "Th", "Fr", "Sa"}

// UnmarshalText reads days, or ranges of days, with commas between, and a range of times.
// Without days it is every day's, without times the whole day. A range that ends before it
// begins ends on the next day.
func (h *Hours) UnmarshalText(text []byte) error {
	wrong := fmt.Errorf(`%q is not hours such as "Mo-Fr 07:00-19:00", "Sa,Su" or "22:00-06:00"`, text)
	fields := strings.Fields(string(text))
	read := Hours{To: 24 * time.Hour}
	if len(fields) == 0 || len(fields) > 2 {
		return wrong
	}
	times := fields[len(fields)-1]
	timed := strings.Contains(times, ":")
	switch {
	case len(fields) == 2 && !timed:
		return wrong
	case len(fields) == 1 && timed:
		read.Days = [7]bool{true, true, true, true, true, true, true}
	case !read.readDays(fields[0]):
		return wrong
	}
	if timed && !read.readTimes(times) {
		return wrong
	}
	*h = read
	return nil
}

func (h *Hours) readDays(text string) bool {
	for _, part := range strings.Split(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		from, to := weekday(first), weekday(last)
		if !ranged {
			to = from
		}
		if from < 0 || to < 0 {
			return false
		}
		for day := from; ; day = (day + 1) % 7 {
			h.Days[day] = true
			if day == to {
				break
			}
		}
	}
	return true
}

// weekday is the number of a day, -1 if it is none.
func weekday(word string) int {
	for i, day := range weekdays {
		if strings.EqualFold(day, word) {
			return i
		}
	}
	return -1
}

func (h *Hours) readTimes(text string) bool {
	first, last, ok := strings.Cut(text, "-")
	from, ok1 := clock(first)
	to, ok2 := clock(last)
	if !ok || !ok1 || !ok2 || from == to || from == 24*time.Hour {
		return false
	}
	if to < from {
		to += 24 * time.Hour
	}
	h.From, h.To = from, to
	return true
}

// clock reads "07:00", up to "24:00".
func clock(text string) (time.Duration, bool) {
	hours, minutes, ok := strings.Cut(text, ":")
	h, err1 := strconv.ParseUint(hours, 10, 8)
	m, err2 := strconv.ParseUint(minutes, 10, 8)
	if !ok || err1 != nil || err2 != nil || len(hours) > 2 || len(minutes) != 2 || m > 59 || h > 24 || h == 24 && m > 0 {
		return 0, false
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute, true
}

// String is a text that the same hours are read from.
func (h Hours) String() string {
	if h == (Hours{}) {
		return ""
	}
	var days []string
	for i := range weekdays {
		if day := (i + 1) % 7; h.Days[day] { // the week begins with Monday
			days = append(days, weekdays[day])
		}
	}
	of := func(t time.Duration) string {
		return fmt.Sprintf("%02d:%02d", int(t.Hours()), int(t.Minutes())%60)
	}
	to := h.To
	if to > 24*time.Hour {
		to -= 24 * time.Hour
	}
	return strings.Join(days, ",") + " " + of(h.From) + "-" + of(to)
}

// MarshalText implements encoding.TextMarshaler.
func (h Hours) MarshalText() ([]byte, error) { return []byte(h.String()), nil }
