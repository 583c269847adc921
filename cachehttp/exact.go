package cachehttp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// exact refuses what encoding/json is lenient about: a field that into does not have, or
// that is not spelt like its tag; one that is there twice, of which the last counts; and half of a surrogate pair,
// in whose place it puts another character. body is an object that it has read into into.
func exact(body []byte, into any) error {
	names := make(map[string]bool)
	for i, of := 0, reflect.TypeOf(into).Elem(); i < of.NumField(); i++ {
		names[of.Field(i).Tag.Get("json")] = true
	}
	d := json.NewDecoder(bytes.NewReader(body))
	_, _ = d.Token()
	for d.More() {
		token, _ := d.Token()
		name := fmt.Sprint(token)
		if !names[name] {
			return fmt.Errorf("field %q is unknown, or is there twice", name)
		}
		delete(names, name)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if half := halfOf(value); half != nil {
			return fmt.Errorf("%s in field %q is half of a character", half, name)
		}
	}
	return nil
}

// halfOf is the first escape of a string that is half of a surrogate pair, nil for none.
func halfOf(text []byte) []byte {
	for {
		at := bytes.IndexByte(text, '\\')
		if at < 0 {
			return nil
		}
		text = text[at:]
		r, size := escaped(text)
		if utf16.IsSurrogate(r) {
			low, more := escaped(text[size:])
			if utf16.DecodeRune(r, low) == utf8.RuneError {
				return text[:size]
			}
			size += more
		}
		text = text[size:]
	}
}

// escaped is the character that b begins with as an escape, and the length of that. It is
// -1 for one of two bytes, and if there is none.
func escaped(b []byte) (r rune, size int) {
	switch {
	case len(b) < 2 || b[0] != '\\':
		return -1, 0
	case b[1] != 'u' || len(b) < 6:
		return -1, 2
	}
	n, _ := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), 6
}
