package jsonl

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// Every text reads back as its number, and nearly all are the shortest.
func TestGrisu(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	long, total := 0, 0
	check := func(f float64) {
		t.Helper()
		if f == 0 || math.IsNaN(f) || math.IsInf(f, 0) {
			return
		}
		f = math.Abs(f)
		got := string(appendDouble(nil, f))
		back, err := strconv.ParseFloat(got, 64)
		if err != nil || back != f {
			t.Fatalf("%g: %s reads as %g (%v)", f, got, back, err)
		}
		digits, _ := grisu(nil, f)
		shortest, _, _ := strings.Cut(strings.Replace(strconv.FormatFloat(f, 'e', -1, 64), ".", "", 1), "e")
		if total++; len(digits) > len(shortest) {
			long++
		}
		if len(digits) > 17 {
			t.Fatalf("%g: %s", f, digits)
		}
	}
	for _, f := range []float64{1, 10, 0.1, 5e-324, math.MaxFloat64, 2.2250738585072014e-308, 2.225073858507201e-308, 4503599627370496, 9007199254740993, 1e22, 1e23} {
		check(f)
	}
	for range 300000 {
		check(math.Float64frombits(r.Uint64()))
		check(r.Float64() * 1e4)
		check(float64(r.IntN(1e9)) + float64(r.IntN(1e6))/1e6)
	}
	if long*200 > total {
		t.Errorf("%d of %d are not the shortest", long, total)
	}
	t.Logf("%d of %d are not the shortest", long, total)
}
