package engine

import (
	"strconv"
	"strings"
)

// News is what nodes tell each other on the control channel: who says it, a space,
// and any number of
//
//	kind (one byte)  length (decimal) ":" text
const (
	newsKey     = 'k'
	newsPattern = 'p'
	newsTag     = 't'
)

func newsOf(sender string, kind byte, texts ...string) string {
	var b strings.Builder
	b.WriteString(sender)
	b.WriteByte(' ')
	for _, text := range texts {
		b.WriteByte(kind)
		b.WriteString(strconv.Itoa(len(text)))
		b.WriteByte(':')
		b.WriteString(text)
	}
	return b.String()
}

// eachNews is false if the payload, or a part of it, is not news.
func eachNews(payload string, tell func(sender string, kind byte, text string)) bool {
	sender, payload, ok := strings.Cut(payload, " ")
	if !ok {
		return false
	}
	for payload != "" {
		kind := payload[0]
		size, rest, ok := strings.Cut(payload[1:], ":")
		n, err := strconv.Atoi(size)
		if !ok || err != nil || n < 0 || n > len(rest) || kind != newsKey && kind != newsPattern && kind != newsTag {
			return false
		}
		tell(sender, kind, rest[:n])
		payload = rest[n:]
	}
	return true
}
