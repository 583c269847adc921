package engine

import (
	"errors"
	"strconv"
	"strings"
)

// The list of hot keys that one process leaves for another: a version, and each key
// after its length. What is text stays text, as Redis over REST needs it.

const (
	hotVersion  = "hot1;"
	mostHotKeys = 16 << 10  // of one cache
	mostHotSize = 256 << 10 // bytes of its list
)

// hotList is a list that is being made: the keys, each once, as far as there is room.
type hotList struct {
	text strings.Builder
	has  map[string]struct{}
}

// add puts key at the end if it is new and there is room for it.
func (l *hotList) add(key string) {
	if _, there := l.has[key]; there || l.full() {
		return
	}
	n := strconv.Itoa(len(key))
	if max(l.text.Len(), len(hotVersion))+len(n)+1+len(key) > mostHotSize {
		return
	}
	if l.has == nil {
		l.has = make(map[string]struct{})
		l.text.WriteString(hotVersion)
	}
	l.has[key] = struct{}{}
	l.text.WriteString(n)
	l.text.WriteByte(':')
	l.text.WriteString(key)
}

func (l *hotList) full() bool { return len(l.has) >= mostHotKeys }

var errHotList = errors.New("engine: that is no list of hot keys of this version")

// readHotList returns the keys of a list, in its order.
func readHotList(text string) (keys []string, err error) {
	rest, ok := strings.CutPrefix(text, hotVersion)
	if !ok || len(text) > mostHotSize {
		return nil, errHotList
	}
	for rest != "" {
		size, after, ok := strings.Cut(rest, ":")
		n, err := strconv.ParseUint(size, 10, 32)
		if !ok || err != nil || n == 0 || n > uint64(len(after)) || len(keys) >= mostHotKeys {
			return nil, errHotList
		}
		keys, rest = append(keys, after[:n]), after[n:]
	}
	return keys, nil
}
