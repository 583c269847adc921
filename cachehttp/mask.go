package cachehttp

import (
	"fmt"
	"hash/maphash"
	"strings"
	"unicode/utf8"

	"github.com/tiercache/tiercache"
)

// longestShown is how much of a key is shown, in bytes.
const longestShown = 200

// masker shows keys, whole or as what kind of keys they are.
type masker struct {
	whole bool
	seed  maphash.Seed
}

func newMasker(whole bool) masker { return masker{whole, maphash.MakeSeed()} }

// key shows a key, a tag or a pattern: of "user:email:ann@example.com" it is
// "user:email:…1f", where the mark is the same for the same key and says nothing of it
// to who does not know the seed, which is made anew by each Handler. The words that come
// before the last ":" are taken to say what kind of key it is. From the first part on that
// has digits or signs nothing is: what follows an id may be a name, which is a word as well.
func (m masker) key(key string) string {
	if m.whole {
		return shorten(key)
	}
	at := strings.LastIndexByte(key, ':') + 1
	var b strings.Builder
	words := true
	for part := range strings.SplitAfterSeq(key[:at], ":") {
		if words = words && isWord(strings.TrimSuffix(part, ":")); words {
			b.WriteString(part)
		} else if part != "" {
			b.WriteString("…:")
		}
	}
	if rest := key[at:]; rest == "" || rest == "*" {
		b.WriteString(rest)
	} else {
		fmt.Fprintf(&b, "…%03x", maphash.String(m.seed, key)&0xfff)
	}
	return shorten(b.String())
}

// target shows what an invalidation names. A cache is called by its name, which is no key.
func (m masker) target(i tiercache.Invalidation) string {
	if i.Kind == "clear" {
		return shorten(i.Target)
	}
	return m.key(i.Target)
}

// hot is keys with their names shown.
func (m masker) hot(keys []tiercache.HotKey) []tiercache.HotKey {
	out := make([]tiercache.HotKey, len(keys))
	for i, k := range keys {
		k.Key = m.key(k.Key)
		out[i] = k
	}
	return out
}

// problem shows an error, whose text may name keys.
func (m masker) problem(err error) string {
	switch {
	case err == nil:
		return ""
	case m.whole:
		return shorten(err.Error())
	}
	return "it failed, in part at least: the log says why"
}

func isWord(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// shorten cuts s where it is too long to be shown, between two characters.
func shorten(s string) string {
	if len(s) <= longestShown {
		return s
	}
	at := longestShown
	for at > longestShown-utf8.UTFMax && !utf8.RuneStart(s[at]) {
		at--
	}
	return s[:at] + "…"
}
