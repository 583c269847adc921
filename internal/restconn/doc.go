// Package restconn reaches an Upstash Redis where it can be reached: by TLS on
// its Redis port, or over its REST API, for networks that let nothing out but
// HTTPS. A Dialer makes connections for go-redis. One over REST takes commands in
// RESP, sends them as HTTP requests, and gives back the answers in RESP.
//
// # What a connection over REST can do
//
// Whatever go-redis writes in one go is one request to /pipeline (several if it
// is large), MULTI to EXEC is one to /multi-exec, and each channel of SUBSCRIBE
// is one stream of server-sent events. Only RESP2 is spoken: HELLO 3 is refused,
// and so are CLIENT TRACKING, what blocks, WATCH, MONITOR and PSUBSCRIBE. There
// is no session: AUTH, SELECT 0 and CLIENT SETNAME are answered and mean nothing,
// the token speaks for itself.
//
// A connection is broken for good by a request that gets no answer: it may have
// been executed or not. An answer of the server that says no (401, 403, 429 and
// other 4xx) is an error reply and breaks nothing. Nothing is sent twice.
//
// # Bytes
//
// REST carries JSON, and JSON carries no bytes that are not UTF-8. Such bytes are
// written as characters of their own, see escape; what is UTF-8 stays what it is,
// at the offset where it is. So GETRANGE and SETRANGE of a text at the beginning
// of a value work whatever follows it. STRLEN, and offsets behind the first byte
// that is not text, count the written form.
package restconn
