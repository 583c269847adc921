package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Template builds keys and patterns of one family. Make it with [New] or
// [MustNew]; the zero Template builds nothing but refused keys. Templates are
// immutable and safe for concurrent use.
type Template struct {
	text  string
	names []string // placeholders, in order

	// literals[i] stands before placeholder i, the last one after them all.
	// The first is never empty, those between placeholders hold a ":".
	literals    []string
	literalSize int
}

// New checks a template such as "orders:{shop}:{id}". An error names the
// template and what is wrong with it; the rules are in the package comment.
func New(text string) (Template, error) {
	t, err := parse(text)
	if err != nil {
		return Template{}, fmt.Errorf("keys: template %q: %w", text, err)
	}
	return t, nil
}

// MustNew is New for package-level variables: it panics if the template is
// wrong. It is the only function of the package that panics.
func MustNew(text string) Template {
	t, err := New(text)
	if err != nil {
		panic(err)
	}
	return t
}

// String returns the text the template was made from.
func (t Template) String() string { return t.text }

// Key builds the key of the values, one for each placeholder, in the order of
// the template. Values may hold anything; see Escaping in the package comment.
// With a wrong number of values the result starts with "~" and says so; see
// Templates there. It allocates the key and nothing else, unless a value has to
// be hashed.
func (t Template) Key(values ...string) string {
	if len(values) != len(t.names) || t.literals == nil {
		return t.refuse(t.wrongCount("key", values), values)
	}
	return t.join(values)
}

// Pattern builds the pattern of the keys whose first values are the given ones,
// whatever the others are. Given all values, it is the key itself. More values
// than placeholders give a text that starts with "~", as in [Template.Key].
func (t Template) Pattern(leading ...string) string {
	if len(leading) > len(t.names) || t.literals == nil {
		return t.refuse(t.wrongCount("pattern", leading), leading)
	}
	prefix := t.join(leading)
	if len(leading) == len(t.names) {
		return prefix
	}
	return prefix + "*"
}

// PatternWhere builds the pattern of the keys in which the named placeholders
// have the given values, whatever the others are. A name that the template does
// not have gives a text that starts with "~", as in [Template.Key]: to leave it
// out would widen the pattern.
func (t Template) PatternWhere(fixed map[string]string) string {
	leading, found := make([]string, 0, len(t.names)), 0
	for i, name := range t.names {
		value, ok := fixed[name]
		if !ok {
			continue
		}
		if found == i {
			leading = append(leading, value)
		}
		found++
	}
	if found != len(fixed) || t.literals == nil {
		return t.refuse(t.unknownNames(fixed))
	}
	if found == len(leading) {
		return t.Pattern(leading...)
	}

	// Something wild comes before something fixed. The wild tail must not be
	// cut to one "*" here: a:*:x:* for a:{1}:{2}:{3}:{4} with {2} fixed to x
	// also matches a:1:2:x:4, the first "*" standing for "1:2".
	var b strings.Builder
	b.WriteString(t.literals[0])
	for i, name := range t.names {
		if value, ok := fixed[name]; ok {
			writeValue(&b, value)
		} else {
			b.WriteByte('*')
		}
		b.WriteString(t.literals[i+1])
	}
	return b.String()
}

// join writes the literals and values up to the first placeholder that has no
// value.
func (t Template) join(values []string) string {
	if len(t.names) == 0 {
		return t.text
	}
	size := t.literalSize
	for _, v := range values {
		size += valueSize(v)
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteString(t.literals[0])
	for i, v := range values {
		writeValue(&b, v)
		b.WriteString(t.literals[i+1])
	}
	return b.String()
}

// refuse makes the text that stands for a key or pattern the caller did not
// describe. It lies in the namespace that the cache refuses; no key of a
// template does. It holds a hash of the values, so that even in a store which
// refuses nothing two different mistakes do not share an entry, and not the
// values, which may be secret and would turn up in the cache's error.
func (t Template) refuse(problem string, values []string) string {
	var all strings.Builder
	for _, v := range values {
		writeValue(&all, v)
		all.WriteByte(':')
	}
	name := t.text
	if t.literals == nil {
		name = "(zero Template)"
	}
	var b strings.Builder
	b.WriteString("~keys: template " + name + ": " + problem + " (values ")
	writeHash(&b, all.String())
	b.WriteByte(')')
	return b.String()
}

func (t Template) wrongCount(what string, values []string) string {
	if t.literals == nil {
		return "was not made by New"
	}
	return fmt.Sprintf("%d values for a %s with %d placeholders", len(values), what, len(t.names))
}

func (t Template) unknownNames(fixed map[string]string) (problem string, values []string) {
	problem = "was not made by New"
	if t.literals != nil {
		problem = "pattern fixes a name that is no placeholder"
	}
	for name, value := range fixed {
		if t.literals != nil && !slices.Contains(t.names, name) {
			problem += " " + escape(name)
		}
		values = append(values, escape(name)+"="+escape(value))
	}
	slices.Sort(values)
	return problem, values
}

func parse(text string) (Template, error) {
	switch {
	case text == "":
		return Template{}, errors.New("it is empty")
	case !utf8.ValidString(text):
		return Template{}, errors.New("it is not valid UTF-8")
	case text[0] == '~':
		return Template{}, errors.New(`it starts with "~", which is reserved for the library`)
	case text[0] == '{':
		return Template{}, errors.New("it must start with a literal, else its pattern would match every key")
	}
	t := Template{text: text}
	rest := text
	for {
		literal, tail, found := strings.Cut(rest, "{")
		if err := checkLiteral(literal); err != nil {
			return Template{}, err
		}
		if found && len(t.names) > 0 && !strings.Contains(literal, ":") {
			return Template{}, fmt.Errorf(`between placeholder {%s} and the next one there must be a literal with a ":", not %q`,
				t.names[len(t.names)-1], literal)
		}
		t.literals = append(t.literals, literal)
		t.literalSize += len(literal)
		if !found {
			return t, nil
		}
		name, after, closed := strings.Cut(tail, "}")
		if !closed {
			return Template{}, fmt.Errorf(`"{" before %q is never closed`, tail)
		}
		if err := checkName(name); err != nil {
			return Template{}, err
		}
		if slices.Contains(t.names, name) {
			return Template{}, fmt.Errorf("placeholder {%s} is there twice", name)
		}
		t.names = append(t.names, name)
		rest = after
	}
}

func checkLiteral(literal string) error {
	for _, r := range literal {
		switch {
		case r == '}':
			return fmt.Errorf(`"}" in %q closes no placeholder`, literal)
		case strings.ContainsRune(`*?[]\^`, r):
			return fmt.Errorf("literal %q holds %q, which has a meaning in patterns", literal, r)
		case r == ' ' || !unicode.IsPrint(r):
			return fmt.Errorf("literal %q holds %q, which is a space or not printable", literal, r)
		}
	}
	return nil
}

func checkName(name string) error {
	if name == "" {
		return errors.New("a placeholder has no name")
	}
	for _, r := range name {
		switch {
		case r == '{':
			return fmt.Errorf(`placeholder "{%s}" has another "{" inside`, name)
		case r != '_' && (r >= utf8.RuneSelf || !isAlnum(byte(r))):
			return fmt.Errorf("placeholder name %q holds %q; a name is made of ASCII letters, digits and _", name, r)
		}
	}
	return nil
}
