// Package cachehttp shows what the caches of a process do, as JSON, as a page and as a
// stream, and lets those who may clear, invalidate and warm them.
//
//	h, err := cachehttp.New(tiers, cachehttp.Config{Warmer: warmer, Authorizer: who, Logger: log})
//	at := http.StripPrefix("/api/cache/stats", h)
//	mux.Handle("/api/cache/stats", at)
//	mux.Handle("/api/cache/stats/", at)
//	server.RegisterOnShutdown(h.Close)
//
// It can be mounted at any path; http.StripPrefix takes that off. Middleware around it has
// to keep http.ResponseController at work, for the stream.
//
// # Addresses
//
// Relative to where it is mounted, "" with and without a slash at its end:
//
//	GET  ""           a Snapshot; or the page, if Accept prefers text/html to JSON
//	GET  /stream      a Snapshot each second, as the data of server-sent events
//	GET  /page/…      the page's files
//	POST /clear       {} or nothing: everything under the prefix is invalidated
//	POST /invalidate  {"kind": "key", "target": "user:42"}; or "tag", or "pattern"
//	POST /warm        {"job": "profiles"}: it is run, 202 comes at once
//	DELETE ""         as /clear
//
// Bodies are application/json, of 16 KiB at most, and have no other fields. An action is
// answered with {"ok": true, "keys": 3, "queued": false}: how many keys were removed from
// Redis, and whether some of it waits for Redis, or for the job to run. Anything else is
// {"error": "why"}: 400 for what makes no sense, 401 and 403 for who may not, 404 for an
// address or a job that is not there, 405 with Allow, 413 and 415 for a body, 503 when the
// Tiers are closed, and with Retry-After for a stream too many.
//
// # The figures
//
// They are this process's own. Cache and Total count from Open, or from the last clear
// through this Handler in this process; Windows, Caches and Recommendations are of the last
// second, minute and quarter of an hour, as far as there are readings: one each ten seconds,
// and one each second while there are streams. A window is up to a tenth longer than
// its name says, "now" up to ten seconds while nobody watches, and shorter in a young process;
// Seconds tells. The readings take some 200 KiB of memory for each cache.
//
// The status is that of the last quarter of an hour, unless it has too few operations.
//
// # Who may
//
// An Authorizer decides; without one the machine itself may read, by the address of the
// connection, and nobody may do more. Requests for a change from pages of other sites are
// refused whoever sends them, see http.CrossOriginProtection; pages of other sites can
// neither frame the page nor read what is here. Keys are masked unless Config.ShowKeys:
// they hold addresses and worse. Each action, done or refused, leaves a line in the log.
//
// Of streams there are 32 at a time. A reader who takes too long misses events, and is
// cut off after five seconds in which nothing could be written.
package cachehttp
