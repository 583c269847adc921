package coherence

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheChainOfMessages(t *testing.T) {
	t.Parallel()
	type step struct {
		name    string
		message [2]int64 // prev, n
		counter reading
		before  int64
		want    outcome
	}
	sync := step{name: "sync", counter: reading{10, 1}, want: outcome{reached: true, upTo: 1}}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"each message names the one before", []step{sync,
			{name: "next", message: [2]int64{10, 12}},
			{name: "next", message: [2]int64{12, 13}},
			{name: "reading", counter: reading{13, 5}, before: 12, want: outcome{reached: true, upTo: 5}}}},
		{"a lost message is noticed at the next", []step{sync,
			{name: "gap", message: [2]int64{11, 12}, want: outcome{lost: true}},
			{name: "starts again from there", message: [2]int64{12, 13}}}},
		{"a lost last message is noticed by the counter", []step{sync,
			{name: "ahead", counter: reading{11, 50}, before: 10},
			{name: "still", counter: reading{11, 150}, before: 10},
			{name: "too long", counter: reading{11, 151}, before: 10, want: outcome{lost: true}},
			{name: "sync", counter: reading{11, 152}, want: outcome{reached: true, upTo: 152}}}},
		{"a message on its way counts when it arrives, from when the counter was read", []step{sync,
			{name: "ahead", counter: reading{12, 50}, before: 10},
			{name: "first", message: [2]int64{10, 11}},
			{name: "second", message: [2]int64{11, 12}, want: outcome{reached: true, upTo: 50}},
			{name: "no more", message: [2]int64{12, 13}}}},
		{"under a stream the oldest reading ahead is kept", []step{sync,
			{name: "ahead", counter: reading{12, 50}, before: 10},
			{name: "more", counter: reading{14, 75}, before: 10},
			{name: "reached", message: [2]int64{10, 12}, want: outcome{reached: true, upTo: 50}}}},
		{"a message that overtakes the answer is no loss", []step{sync,
			{name: "overtakes", message: [2]int64{10, 11}},
			{name: "answer", counter: reading{10, 20}, before: 10, want: outcome{reached: true, upTo: 20}}}},
		{"a counter that went back is a loss", []step{sync,
			{name: "flushed", counter: reading{0, 20}, before: 10, want: outcome{lost: true}},
			{name: "sync", counter: reading{0, 21}, want: outcome{reached: true, upTo: 21}},
			{name: "the next", message: [2]int64{0, 30}}}},
		{"a message counted before the sync comes late", []step{sync,
			{name: "late", message: [2]int64{9, 10}},
			{name: "next", message: [2]int64{10, 11}}}},
		{"messages before the sync are where it starts", []step{
			{name: "early", message: [2]int64{5, 12}},
			{name: "sync", counter: reading{10, 1}, want: outcome{reached: true, upTo: 1}},
			{name: "next", message: [2]int64{12, 13}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := chain{bound: 100}
			for i, s := range test.steps {
				var got outcome
				if s.message[1] != 0 {
					got = c.message(s.message[0], s.message[1])
				} else {
					got = c.counter(s.counter, s.before)
				}
				assert.Equal(t, s.want, got, "step %d: %s", i, s.name)
			}
		})
	}
}

func TestOnlyWhatPublishSendsIsAMessage(t *testing.T) {
	t.Parallel()
	for text, payload := range map[string]string{"0 1 x": "x", "1 2 ": "", "7 9 a b": "a b"} {
		_, _, got, ok := parseMessage(text)
		assert.True(t, ok, "%q", text)
		assert.Equal(t, payload, got)
	}
	for _, text := range []string{"", " ", "  ", "1", "1 2", "2 2 x", "3 2 x", "-1 2 x", "+1 2 x", "01 2 x", "1 02 x", "a 2 x", "1 b x",
		"1 9223372036854775808 x", "1.0 2 x", " 1 2 x", "1  2 x"} {
		_, _, _, ok := parseMessage(text)
		assert.False(t, ok, "%q", text)
	}
}

func FuzzAMessageIsReadAsItWasFramedOrRefused(f *testing.F) {
	for _, seed := range []string{"0 1 x", "1700000000000000 1700000000000001 {}", "1 2 ", "1 2", "", "9223372036854775806 9223372036854775807 \x00", "-0 1 x", "1e3 2e3 x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		prev, n, payload, ok := parseMessage(text)
		if !ok {
			return
		}
		if prev < 0 || n <= prev {
			t.Fatalf("%q: prev %d, n %d", text, prev, n)
		}
		if again := frame(prev, n, payload); again != text {
			t.Fatalf("%q was read as %q", text, again)
		}
	})
}
