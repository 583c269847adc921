package engine

import (
	"strconv"
	"strings"
)

// News is what nodes tell each other on the control channel: any number of
//
//	kind (one byte)  length (decimal) ":" text
const (
	newsKey     = 'k'
	newsPattern = 'p'
	newsTag     = 't'
)

func newsOf(kind byte, texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		b.WriteByte(kind)
		b.WriteString(strconv.Itoa(len(text)))
		b.WriteByte(':')
		b.WriteString(text)
	}
	return b.String()
}

// eachNews is false if the payload, or a part of it, is not news.
func eachNews(payload string, tell func(kind byte, text string)) bool {
	for payload != "" {
		kind := payload[0]
		size, rest, ok := strings.Cut(payload[1:], ":")
		n, err := strconv.Atoi(size)
		if !ok || err != nil || n < 0 || n > len(rest) || kind != newsKey && kind != newsPattern && kind != newsTag {
			return false
		}
		tell(kind, rest[:n])
		payload = rest[n:]
	}
	return true
}
