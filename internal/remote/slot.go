package remote

import (
	"strconv"
	"strings"
	"sync"
)

const slots = 16384

// slotOf is the hash slot of a key: CRC16 (XMODEM) of its hash tag, or of all
// of it, modulo 16384 (Redis Cluster specification, "Key distribution model").
func slotOf(key string) int { return slotUnder(0, key) }

// slotUnder is slotOf for a key after a prefix with that CRC and without braces.
func slotUnder(prefix uint16, key string) int {
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if n := strings.IndexByte(key[open+1:], '}'); n > 0 {
			prefix, key = 0, key[open+1:open+1+n]
		}
	}
	return int(crcOf(prefix, key) % slots)
}

func crcOf(crc uint16, text string) uint16 {
	for i := range len(text) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^text[i]]
	}
	return crc
}

var crcTable = func() (t [256]uint16) {
	for i := range t {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		t[i] = crc
	}
	return t
}()

// groups of slots: what concerns all keys is kept once for each, under a key of
// the group's own first slot, so that it is where the keys are, but for those near
// the border between two masters, and a dead master takes along only what
// concerns its own.
const groups = 256

// Groups is how many there are; one master is one group.
func (r *Remote) Groups() int {
	if r.plan.cluster == nil {
		return 1
	}
	return groups
}

// Group of a key.
func (r *Remote) Group(key string) int {
	if r.plan.cluster == nil {
		return 0
	}
	return slotOf(key) / (slots / groups)
}

// InGroup gives a name a hash tag that puts its key into the group.
func (r *Remote) InGroup(g int, name string) string {
	if r.plan.cluster == nil {
		return name
	}
	return hashTags()[g] + name
}

var hashTags = sync.OnceValue(func() (tags [groups]string) {
	const size = slots / groups
	for n, left := 0, groups; left > 0; n++ {
		tag := "{" + strconv.Itoa(n) + "}"
		if s := slotOf(tag); s%size == 0 && tags[s/size] == "" {
			tags[s/size] = tag
			left--
		}
	}
	return tags
})

// keyAt is a key in a slot of a master, "" if none is known.
func (r *Remote) keyAt(m *master) string {
	t := r.routes.table.Load()
	if t.owner == nil {
		return ""
	}
	for g, tag := range hashTags() {
		if t.owner[g*(slots/groups)] == m {
			return r.cfg.Prefix + reserved + tag + "probe"
		}
	}
	return ""
}
