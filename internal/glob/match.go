package glob

// maxStars is how deep Redis recurses, one level a star, before it says no.
const maxStars = 1000

// match is Redis's matcher without its recursion.
//
// If a piece between two stars fits somewhere, no longer match of an earlier
// star can help: whatever follows could be matched from the first place it fits
// as well. So only the last star seen is ever tried with more bytes, which is
// also what Redis does since it knows skipLongerMatches; the cost is at most
// the product of the lengths.
func match(pattern, s string) bool {
	p, i := 0, 0
	stars, afterStar, from := 0, 0, 0 // of the last star: what follows it, and where that is tried
	for {
		ok := true
		for ok && p < len(pattern) && i < len(s) {
			if pattern[p] == '*' {
				for p < len(pattern) && pattern[p] == '*' {
					p++
				}
				if p == len(pattern) {
					return true
				}
				if stars++; stars > maxStars {
					return false
				}
				afterStar, from = p, i
				continue
			}
			if p, ok = one(pattern, p, s[i]); !ok {
				break
			}
			if i++; i == len(s) {
				for p < len(pattern) && pattern[p] == '*' {
					p++
				}
			}
		}
		if ok && p == len(pattern) && i == len(s) {
			return true
		}
		// Redis does not try the rest at the end of s, where it can only be empty.
		if from++; stars == 0 || from >= len(s) {
			return false
		}
		p, i = afterStar, from
	}
}

// one matches the element at p, which is no star, with a byte, and returns
// where the next element begins.
func one(pattern string, p int, c byte) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '[':
		return class(pattern, p+1, c)
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
	}
	return p + 1, pattern[p] == c
}

// class matches what follows a [ with a byte, and returns where the next element
// begins. A class that is not closed ends with the pattern; [] matches nothing
// and [^] everything; - is a range only between two bytes of the pattern, the
// second of which may be a ] or a \.
func class(pattern string, p int, c byte) (next int, ok bool) {
	not := p < len(pattern) && pattern[p] == '^'
	if not {
		p++
	}
	for p < len(pattern) && pattern[p] != ']' {
		switch left := len(pattern) - p; {
		case left >= 2 && pattern[p] == '\\':
			p++
			ok = ok || pattern[p] == c
		case left >= 3 && pattern[p+1] == '-':
			ok = ok || between(pattern[p], c, pattern[p+2])
			p += 2
		default:
			ok = ok || pattern[p] == c
		}
		p++
	}
	return min(p+1, len(pattern)), ok != not
}

// between compares as the C type char does where it is signed, which is so for
// Redis on x86: the bytes from 0x80 are below all others. On ARM they are above.
// It makes a difference only to ranges with one end among them.
func between(a, c, b byte) bool {
	lo, x, hi := int8(a), int8(c), int8(b)
	if lo > hi {
		lo, hi = hi, lo
	}
	return lo <= x && x <= hi
}
