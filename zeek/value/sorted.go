package value

import "slices"

// Sorted returns the elements of a set in canonical order (Compare) and
// whether no two are the same. The slice given is not changed.
func Sorted(elems []Value) ([]Value, bool) {
	if ascending(elems, 1) {
		return elems, true
	}
	elems = slices.Clone(elems)
	slices.SortStableFunc(elems, Compare)
	return elems, ascending(elems, 1)
}

// SortedPairs does the same for key, value, key, value ... of a table, by key.
func SortedPairs(pairs []Value) ([]Value, bool) {
	if ascending(pairs, 2) {
		return pairs, true
	}
	two := make([][2]Value, len(pairs)/2)
	for i := range two {
		two[i] = [2]Value(pairs[2*i : 2*i+2])
	}
	slices.SortStableFunc(two, func(a, b [2]Value) int { return Compare(a[0], b[0]) })
	out := make([]Value, 0, len(pairs))
	for i := range two {
		out = append(out, two[i][0], two[i][1])
	}
	return out, ascending(out, 2)
}

func ascending(v []Value, step int) bool {
	for i := step; i < len(v); i += step {
		if Compare(v[i-step], v[i]) >= 0 {
			return false
		}
	}
	return true
}
