package value

import (
	"cmp"
	"slices"
	"strings"
)

// rank orders kinds as events do: by the data they travel as (wire.md section
// 2.2). Kinds that travel as the same data have the same rank.
func rank(k Kind) int {
	switch k {
	case KindVoid:
		return 0
	case KindBool:
		return 1
	case KindCount:
		return 2
	case KindInt:
		return 3
	case KindDouble:
		return 4
	case KindString, KindFile:
		return 5
	case KindAddr:
		return 6
	case KindSubnet:
		return 7
	case KindPort:
		return 8
	case KindTime:
		return 9
	case KindInterval:
		return 10
	case KindEnum:
		return 11
	case KindSet:
		return 12
	case KindTable:
		return 13
	}
	return 14 // vector, record, pattern, func: lists
}

// Compare orders values as Zeek orders the elements of sets and the keys of
// tables on its wires: by type, then by value. Times count by nanoseconds.
// Elements of a set compare in the order they stand in.
func Compare(a, b Value) int {
	if c := cmp.Compare(rank(a.kind), rank(b.kind)); c != 0 {
		return c
	}
	switch a.kind {
	case KindVoid:
		return 0
	case KindBool, KindCount:
		return cmp.Compare(a.n, b.n)
	case KindInt:
		return cmp.Compare(int64(a.n), int64(b.n))
	case KindDouble:
		return cmp.Compare(a.Float(), b.Float())
	case KindTime, KindInterval:
		return cmp.Compare(a.Nanos(), b.Nanos())
	case KindString, KindFile, KindEnum:
		return strings.Compare(a.s, b.s)
	case KindAddr, KindSubnet:
		return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.n, b.n), cmp.Compare(a.aux, b.aux))
	case KindPort:
		return cmp.Or(cmp.Compare(a.n, b.n), cmp.Compare(a.aux, b.aux))
	}
	return slices.CompareFunc(a.list(), b.list(), Compare)
}

// list returns what a value travels as: a func is a list of its name.
func (v Value) list() []Value {
	if v.kind == KindFunc {
		return []Value{String(v.s)}
	}
	return v.elems
}
