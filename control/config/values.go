package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is written as 30s, 5m, 1h.
type Duration time.Duration

// UnmarshalText reads it.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no duration; write it as 30s, 5m or 1h", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes it without parts that are zero: 1h, not 1h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Size is a number of bytes, written as 512KiB, 64MiB, 2GiB.
type Size int64

var _ fmt.Stringer = Size(0)

// units from the largest, as String picks the first that divides.
func units() []struct {
	name string
	n    int64
} {
	return []struct {
		name string
		n    int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// UnmarshalText reads it.
func (s *Size) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	for _, u := range units() {
		num, ok := strings.CutSuffix(t, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(num), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.n {
			break
		}
		*s = Size(n * u.n)
		return nil
	}
	if t == "0" {
		*s = 0
		return nil
	}
	return fmt.Errorf("%q is no size; write it as 512KiB, 64MiB or 2GiB", text)
}

// MarshalText writes it.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes it in the largest unit that gives a whole number.
func (s Size) String() string {
	for _, u := range units() {
		if s != 0 && int64(s)%u.n == 0 {
			return strconv.FormatInt(int64(s)/u.n, 10) + u.name
		}
	}
	return "0"
}

// CPUs is a list of CPUs, written as "2-5,8".
type CPUs []int

// maxCPU is what the kernel's affinity mask holds.
const maxCPU = 1023

// UnmarshalText reads it.
func (c *CPUs) UnmarshalText(text []byte) error {
	bad := fmt.Errorf("%q is no list of CPUs; write it as 2-5,8", text)
	var out CPUs
	for part := range strings.SplitSeq(string(text), ",") {
		part = strings.TrimSpace(part)
		if part == "" && len(text) == 0 {
			break
		}
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(from)
		if err != nil {
			return bad
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(to); err != nil {
				return bad
			}
		}
		if a < 0 || b < a || b > maxCPU {
			return bad
		}
		for i := a; i <= b; i++ {
			out = append(out, i)
		}
	}
	*c = out
	return nil
}

// MarshalText writes it.
func (c CPUs) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// String writes it, runs as ranges.
func (c CPUs) String() string {
	var parts []string
	for i := 0; i < len(c); {
		k := i
		for k+1 < len(c) && c[k+1] == c[k]+1 {
			k++
		}
		if k > i {
			parts = append(parts, fmt.Sprintf("%d-%d", c[i], c[k]))
		} else {
			parts = append(parts, strconv.Itoa(c[i]))
		}
		i = k + 1
	}
	return strings.Join(parts, ",")
}
