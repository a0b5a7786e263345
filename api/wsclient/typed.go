package wsclient

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"time"

	"github.com/picket-nsm/picket/zeek/value"
)

// Port is a port with its transport.
type Port struct {
	Number uint16
	Proto  value.Proto
}

// Enum is the name of an enum value, Conn::LOG.
type Enum string

// Set is a set of elements, in any order.
type Set[T any] []T

// Scan copies the arguments of an event into what dst points to, as many as there
// are. Zeek's types and Go's belong together so: bool bool, count uint64, int
// int64, double float64, string string or []byte, addr netip.Addr, subnet
// netip.Prefix, port Port, time time.Time, interval time.Duration, enum Enum,
// set Set[T] or []T, vector []T, table map[K]V, record a struct by position or,
// over /v2, by field name (tag zeek:"name"). A pointer takes an unset field as
// nil. value.Value takes anything. Smaller Go integers are taken if the number fits.
func (e Event) Scan(dst ...any) error {
	if len(dst) != len(e.Args) {
		return fmt.Errorf("scan %s: it has %d arguments, not %d", e.Name, len(e.Args), len(dst))
	}
	for i, d := range dst {
		to := reflect.ValueOf(d)
		if to.Kind() != reflect.Pointer || to.IsNil() {
			return fmt.Errorf("scan %s: destination %d is no pointer", e.Name, i+1)
		}
		if err := scan(to.Elem(), e.Args[i]); err != nil {
			return fmt.Errorf("scan %s: argument %d: %w", e.Name, i+1, err)
		}
	}
	return nil
}

func scan(to reflect.Value, v value.Value) error {
	no := func() error { return fmt.Errorf("%s does not fit %s", kindName(v.Kind()), to.Type()) }
	switch p := to.Addr().Interface().(type) {
	case *value.Value:
		*p = v
		return nil
	case *netip.Addr:
		if v.Kind() != value.KindAddr {
			return no()
		}
		*p = v.Addr()
		return nil
	case *netip.Prefix:
		if v.Kind() != value.KindSubnet {
			return no()
		}
		bits := int(v.Bits())
		if v.Is4() {
			bits -= 96
		}
		*p = netip.PrefixFrom(v.Addr(), bits)
		return nil
	case *Port:
		if v.Kind() != value.KindPort {
			return no()
		}
		p.Number, p.Proto = v.Port()
		return nil
	case *time.Time:
		if v.Kind() != value.KindTime {
			return no()
		}
		*p = time.Unix(0, v.Nanos()).UTC()
		return nil
	case *time.Duration:
		if v.Kind() != value.KindInterval {
			return no()
		}
		*p = time.Duration(v.Nanos())
		return nil
	case *Enum:
		if v.Kind() != value.KindEnum {
			return no()
		}
		*p = Enum(v.Str())
		return nil
	}
	switch to.Kind() {
	case reflect.Pointer:
		if !v.IsSet() {
			to.SetZero()
			return nil
		}
		to.Set(reflect.New(to.Type().Elem()))
		return scan(to.Elem(), v)
	case reflect.Bool:
		if v.Kind() == value.KindBool {
			to.SetBool(v.Bool())
			return nil
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Kind() == value.KindCount && !to.OverflowUint(v.Count()) {
			to.SetUint(v.Count())
			return nil
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n := v.Int()
		if (v.Kind() == value.KindInt || v.Kind() == value.KindCount && v.Count() <= math.MaxInt64) && !to.OverflowInt(n) {
			to.SetInt(n)
			return nil
		}
	case reflect.Float32, reflect.Float64:
		if v.Kind() == value.KindDouble {
			to.SetFloat(v.Float())
			return nil
		}
	case reflect.String:
		if v.Kind() == value.KindString {
			to.SetString(v.Str())
			return nil
		}
	case reflect.Slice:
		return scanSlice(to, v, no)
	case reflect.Map:
		return scanMap(to, v, no)
	case reflect.Struct:
		return scanStruct(to, v, no)
	}
	return no()
}

func scanSlice(to reflect.Value, v value.Value, no func() error) error {
	if to.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == value.KindString {
		to.SetBytes([]byte(v.Str()))
		return nil
	}
	if v.Kind() != value.KindVector && v.Kind() != value.KindSet {
		return no()
	}
	out := reflect.MakeSlice(to.Type(), len(v.Elems()), len(v.Elems()))
	for i, e := range v.Elems() {
		if err := scan(out.Index(i), e); err != nil {
			return fmt.Errorf("element %d: %w", i+1, err)
		}
	}
	to.Set(out)
	return nil
}

func scanMap(to reflect.Value, v value.Value, no func() error) error {
	if v.Kind() != value.KindTable {
		return no()
	}
	out := reflect.MakeMap(to.Type())
	pairs := v.Elems()
	for i := 0; i+1 < len(pairs); i += 2 {
		key, val := reflect.New(to.Type().Key()).Elem(), reflect.New(to.Type().Elem()).Elem()
		if err := scan(key, pairs[i]); err != nil {
			return fmt.Errorf("key %d: %w", i/2+1, err)
		}
		if err := scan(val, pairs[i+1]); err != nil {
			return fmt.Errorf("value %d: %w", i/2+1, err)
		}
		out.SetMapIndex(key, val)
	}
	to.Set(out)
	return nil
}

func scanStruct(to reflect.Value, v value.Value, no func() error) error {
	fields := v.Elems()
	t := to.Type()
	switch v.Kind() {
	case value.KindVector:
		if len(fields) < t.NumField() {
			return fmt.Errorf("a record of %d fields does not fit %s", len(fields), t)
		}
		for i := range t.NumField() {
			if err := scanField(to.Field(i), fields[i], t.Field(i)); err != nil {
				return err
			}
		}
		return nil
	case value.KindRecord: // name, value, name, value ...
		for i := range t.NumField() {
			f := t.Field(i)
			for k := 0; k+1 < len(fields); k += 2 {
				if fields[k].Str() == fieldName(f) {
					if err := scanField(to.Field(i), fields[k+1], f); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}
	return no()
}

// scanField leaves a field that is unset as it is, if its type has no nil.
func scanField(to reflect.Value, v value.Value, f reflect.StructField) error {
	if !f.IsExported() || !v.IsSet() && to.Kind() != reflect.Pointer {
		return nil
	}
	if err := scan(to, v); err != nil {
		return fmt.Errorf("field %s: %w", f.Name, err)
	}
	return nil
}

func fieldName(f reflect.StructField) string {
	if n := f.Tag.Get("zeek"); n != "" {
		return n
	}
	return f.Name
}

// Values makes arguments of Go values, the way of Scan back. nil pointers become
// unset fields; structs become records by position.
func Values(args ...any) ([]value.Value, error) {
	out := make([]value.Value, len(args))
	for i, a := range args {
		v, err := zeekValue(reflect.ValueOf(a))
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		out[i] = v
	}
	return out, nil
}

func zeekValue(v reflect.Value) (out value.Value, err error) {
	if !v.IsValid() {
		return out, nil
	}
	switch a := v.Interface().(type) {
	case value.Value:
		return a, nil
	case netip.Addr:
		if !a.IsValid() || a.Zone() != "" {
			return out, fmt.Errorf("address %q", a)
		}
		return value.Addr(a), nil
	case netip.Prefix:
		if !a.IsValid() {
			return out, fmt.Errorf("subnet %q", a)
		}
		bits := a.Bits()
		if a.Addr().Is4() {
			bits += 96
		}
		return value.Subnet(a.Masked().Addr().As16(), uint8(bits)), nil
	case Port:
		return value.Port(a.Number, a.Proto), nil
	case time.Time:
		return value.TimeNanos(a.UnixNano()), nil
	case time.Duration:
		return value.IntervalNanos(int64(a)), nil
	case Enum:
		return value.Enum(string(a)), nil
	case []byte:
		return value.String(string(a)), nil
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return out, nil
		}
		return zeekValue(v.Elem())
	case reflect.Bool:
		return value.Bool(v.Bool()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return value.Count(v.Uint()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return value.Int(v.Int()), nil
	case reflect.Float32, reflect.Float64:
		return value.Double(v.Float()), nil
	case reflect.String:
		return value.String(v.String()), nil
	case reflect.Slice, reflect.Array:
		elems := make([]value.Value, v.Len())
		for i := range elems {
			if elems[i], err = zeekValue(v.Index(i)); err != nil {
				return out, err
			}
		}
		if isSet(v.Type()) {
			return value.Set(elems), nil
		}
		return value.Vector(elems), nil
	case reflect.Map:
		var pairs []value.Value
		for it := v.MapRange(); it.Next(); {
			k, err := zeekValue(it.Key())
			if err != nil {
				return out, err
			}
			e, err := zeekValue(it.Value())
			if err != nil {
				return out, err
			}
			pairs = append(pairs, k, e)
		}
		return value.Table(pairs), nil
	case reflect.Struct:
		var fields []value.Value
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			f, err := zeekValue(v.Field(i))
			if err != nil {
				return out, err
			}
			fields = append(fields, f)
		}
		return value.Record(fields), nil
	}
	return out, fmt.Errorf("a %s has no type in Zeek", v.Type())
}

// isSet reports whether t is a Set of something.
func isSet(t reflect.Type) bool {
	const name = "Set["
	return t.PkgPath() == reflect.TypeFor[Port]().PkgPath() && len(t.Name()) > len(name) && t.Name()[:len(name)] == name
}

// kindName is a kind for error messages.
func kindName(k value.Kind) string {
	names := map[value.Kind]string{
		value.KindVoid: "an unset value", value.KindBool: "a bool", value.KindCount: "a count", value.KindInt: "an int", value.KindDouble: "a double",
		value.KindString: "a string", value.KindAddr: "an addr", value.KindSubnet: "a subnet", value.KindPort: "a port", value.KindTime: "a time",
		value.KindInterval: "an interval", value.KindEnum: "an enum", value.KindSet: "a set", value.KindTable: "a table",
		value.KindVector: "a vector", value.KindRecord: "a record",
	}
	if n := names[k]; n != "" {
		return n
	}
	return "a value"
}
