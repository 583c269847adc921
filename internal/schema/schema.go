// Package schema describes the form that values of a Go type have once they are
// encoded, so that a value of a type that has changed since is not read as one of
// today's.
//
// A description is the same in every process and every build: it depends on nothing
// but the declaration of the type, and never on where that stands or what it is
// called. Only a type that encodes itself is known by its full name: what it writes
// cannot be seen from here.
package schema

import (
	"encoding"
	"encoding/gob"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// JSON describes what encoding/json writes for t. Fields are known by their names
// in JSON, in whatever order.
func JSON(t reflect.Type) string { return describe(t, true) }

// Any describes t for a codec that nothing is known of: all fields count, in their
// order, with the whole of their tags.
func Any(t reflect.Type) string { return describe(t, false) }

func describe(t reflect.Type, asJSON bool) string {
	w := walk{asJSON: asJSON, structs: make(map[reflect.Type]int)}
	w.add(t)
	return w.String()
}

type walk struct {
	strings.Builder
	asJSON bool
	// structs are those that were met, numbered in that order. The second time the
	// number is enough: written out again, types that refer to each other would take
	// as much room as there are ways through them. The price: two types of one form in
	// the place of one that occurs twice are another form.
	structs map[reflect.Type]int
	within  []reflect.Type // others being written, the outermost first
}

func (w *walk) add(t reflect.Type) {
	if w.encodesItself(t) {
		w.WriteString("=" + strconv.Quote(t.PkgPath()+"."+t.Name()))
	}
	switch t.Kind() {
	case reflect.Struct:
		w.addStruct(t)
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		// type list []list: only a name can lead back.
		if i := slices.Index(w.within, t); i >= 0 {
			w.WriteString("^" + strconv.Itoa(len(w.within)-i))
			return
		}
		w.within = append(w.within, t)
		w.WriteString(t.Kind().String())
		if t.Kind() == reflect.Array {
			w.WriteString(strconv.Itoa(t.Len()))
		}
		w.WriteByte('[')
		if t.Kind() == reflect.Map {
			w.add(t.Key())
			w.WriteByte(':')
		}
		w.add(t.Elem())
		w.WriteByte(']')
		w.within = w.within[:len(w.within)-1]
	default: // of an interface, what is in it cannot be known
		w.WriteString(t.Kind().String())
	}
}

func (w *walk) addStruct(t reflect.Type) {
	if n, met := w.structs[t]; met {
		w.WriteString("#" + strconv.Itoa(n))
		return
	}
	w.structs[t] = len(w.structs)
	var fields []field
	for i := range t.NumField() {
		if f, ok := w.field(t, t.Field(i)); ok {
			fields = append(fields, f)
		}
	}
	if w.asJSON {
		slices.SortStableFunc(fields, func(a, b field) int { return strings.Compare(a.label, b.label) })
	}
	w.WriteByte('{')
	for _, f := range fields {
		w.WriteString(f.label + " ")
		w.add(f.is)
		w.WriteByte(';')
	}
	w.WriteByte('}')
}

type field struct {
	label string
	is    reflect.Type
}

func (w *walk) field(of reflect.Type, f reflect.StructField) (_ field, counts bool) {
	under := f.Type
	if under.Kind() == reflect.Pointer {
		under = under.Elem()
	}
	embedded := f.Anonymous && under.Kind() == reflect.Struct
	if !f.IsExported() && !embedded && (w.asJSON || w.encodesItself(of)) {
		return field{}, false
	}
	if !w.asJSON {
		label := strconv.Quote(f.Name) + strconv.Quote(string(f.Tag))
		if embedded {
			label += "+"
		}
		return field{label, f.Type}, true
	}
	tag := f.Tag.Get("json")
	if tag == "-" {
		return field{}, false
	}
	name, options, _ := strings.Cut(tag, ",")
	switch {
	case name == "" && embedded: // its fields are those of the struct it is in
		return field{"+" + strconv.Quote(options), f.Type}, true
	case name == "":
		name = f.Name
	case strings.ContainsFunc(name, unusual): // encoding/json may take the field's own
		name += "\x00" + f.Name
	}
	return field{strconv.Quote(name) + strconv.Quote(options), f.Type}, true
}

func unusual(r rune) bool {
	return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// encodesItself tells whether t, or a pointer to it, decides what is written.
func (w *walk) encodesItself(t reflect.Type) bool {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer && t.Name() == "" {
		return false
	}
	for i, way := range ways {
		if w.asJSON && i >= jsonWays {
			return false
		}
		if t.Implements(way) || reflect.PointerTo(t).Implements(way) {
			return true
		}
	}
	return false
}

const jsonWays = 4 // the first are those that encoding/json asks

var ways = []reflect.Type{
	reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
	reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
	reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[gob.GobDecoder](),
}
