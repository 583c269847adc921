// Package codecs sets encoding/json, the library's default, beside two compact binary
// formats: what each takes to encode and decode, and how long what it writes is.
package codecs

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/tiercache/tiercache/s2"
)

// profile is what a service's "me" route returns, about 1 kB of JSON.
type profile struct {
	ID        int64             `json:"id"`
	Name      string            `json:"name"`
	Email     string            `json:"email"`
	Role      string            `json:"role"`
	CreatedAt time.Time         `json:"createdAt"`
	Labels    map[string]string `json:"labels"`
	Counts    []int             `json:"counts"`
	About     string            `json:"about"`
}

func ann() profile {
	return profile{
		ID: 42, Name: "Ann Example", Email: "ann@example.com", Role: "AGENT",
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Labels:    map[string]string{"team": "north", "language": "en", "plan": "large"},
		Counts:    []int{12, 0, 7, 31, 2, 5, 88, 1, 0, 3},
		About: string(bytes.Repeat([]byte("She has worked in the north for seven years, on boilers, pipes "+
			"and pumps, and speaks three languages. "), 7)),
	}
}

// page is a list of small things, as searches return them: many fields, little text.
type row struct {
	ID     int64   `json:"id"`
	Status string  `json:"status"`
	Price  float64 `json:"price"`
	Count  int     `json:"count"`
	Open   bool    `json:"open"`
}

func page() []row {
	rows := make([]row, 50)
	for i := range rows {
		rows[i] = row{int64(1_000_000 + i*37), []string{"OPEN", "CLOSED", "WAITING"}[i%3], 19.99 + float64(i), i, i%2 == 0}
	}
	return rows
}

type format struct {
	name   string
	encode func(v any) ([]byte, error)
	decode func(b []byte, v any) error
}

var formats = []format{
	{"json", json.Marshal, json.Unmarshal},
	{"msgpack", msgpack.Marshal, msgpack.Unmarshal},
	{"cbor", func(v any) ([]byte, error) { return cborMode.Marshal(v) }, cbor.Unmarshal},
}

func run[T any](b *testing.B, v T) {
	for _, f := range formats {
		encoded, err := f.encode(v)
		require.NoError(b, err)
		packed := len(s2.Compressor{}.Compress(nil, encoded))
		b.Run("encode/"+f.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err = f.encode(v)
			}
			b.ReportMetric(float64(len(encoded)), "bytes")
			b.ReportMetric(float64(packed), "bytes-s2")
		})
		require.NoError(b, err)
		b.Run("decode/"+f.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var out T
				err = f.decode(encoded, &out)
			}
		})
		require.NoError(b, err)
	}
	packed := s2.Compressor{}.Compress(nil, must(json.Marshal(v)))
	b.Run("compress/s2", func(b *testing.B) {
		src := must(json.Marshal(v))
		var dst []byte
		for b.Loop() {
			dst = s2.Compressor{}.Compress(dst[:0], src)
		}
	})
	b.Run("decompress/s2", func(b *testing.B) {
		var dst []byte
		for b.Loop() {
			dst, _ = s2.Compressor{}.Decompress(dst[:0], packed, 1<<20)
		}
	})
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func BenchmarkProfile(b *testing.B) { run(b, ann()) }
func BenchmarkPage(b *testing.B)    { run(b, page()) }

func TestEveryFormatGivesBackWhatItWasGiven(t *testing.T) {
	t.Parallel()
	for _, f := range formats {
		givesBack(t, f, page())
		givesBack(t, f, ann())
	}
}

func givesBack[T any](t *testing.T, f format, v T) {
	encoded, err := f.encode(v)
	require.NoError(t, err, f.name)
	var out T
	require.NoError(t, f.decode(encoded, &out), f.name)
	// Each has a way of its own to say UTC.
	require.Equal(t, string(must(json.Marshal(v))), string(must(json.Marshal(out))), f.name)
}
