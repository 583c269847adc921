package envelope

import "encoding/binary"

// URL-safe base64, six bits a character, most significant first. Fixed widths
// keep every field at its offset.
const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

var values = func() (v [256]byte) {
	for i := range v {
		v[i] = 0xff
	}
	for i := range len(digits) {
		v[digits[i]] = byte(i)
	}
	return v
}()

// put writes n into all of dst. A field of eight characters holds 48 bits:
// milliseconds until the year 10889; what does not fit saturates.
func put(dst []byte, n uint64) {
	if bits := 6 * len(dst); bits < 64 && n >= 1<<bits {
		n = 1<<bits - 1
	}
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = digits[n&63]
		n >>= 6
	}
}

// get reads all of src; false if a character is none of ours or the number has
// more than 64 bits.
func get(src []byte) (n uint64, ok bool) {
	for _, c := range src {
		v := values[c]
		if v == 0xff || n>>58 != 0 {
			return 0, false
		}
		n = n<<6 | uint64(v)
	}
	return n, true
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
