// Package keys builds cache keys, and the glob patterns that invalidate them,
// from one template, so that the two cannot drift apart.
//
//	var orders = keys.MustNew("orders:{shop}:{id}")
//
//	orders.Key("berlin", "42")  // orders:berlin:42
//	orders.Pattern("berlin")    // orders:berlin:*
//
// It needs nothing but the standard library and knows nothing of the cache: a
// cache takes any string as a key, and these are strings. Everything here is
// safe for concurrent use.
//
// # Templates
//
// A template is literal text with placeholders in braces. [New] checks it once,
// at start-up; nothing is left to check in a request but the number of values.
//
//   - It starts with a literal, so that no pattern of it is a bare "*", and not
//     with "~", which is the library's own namespace.
//   - A literal is printable, without spaces and without * ? [ ] \ ^.
//   - A placeholder's name is made of ASCII letters, digits and "_", and is
//     used once.
//   - Between two placeholders stands a literal with a ":" in it. No value
//     holds a ":" once it is escaped, so each value can be read back from the
//     key: building is injective. ("{w}x{h}" could not tell "1x2","3" from
//     "1","2x3".)
//
// Key takes one value for each placeholder, in the order of the template. A
// wrong number is a mistake in the code, not in its data, and gives neither a
// panic nor a usable key: the string returned starts with "~" and says what was
// wrong. The cache refuses such keys, so the text arrives as its error at the
// first use. A function for each family, as in this package and in the examples,
// leaves one place where the number can be wrong, and lets the compiler check
// the rest.
//
// # Escaping
//
// Letters, digits and . _ - @ + = , ~ stay as they are, so ordinary keys read
// well: user:email:ann@example.com. Every other byte of a value becomes %XX,
// in upper-case hex: separators, glob characters, braces (Redis Cluster would
// take them for a hash tag), spaces, control characters, quotes, "%", "#" and
// all bytes above ASCII, whether they are valid UTF-8 or not. No value can
// forge another key or widen a pattern, and redis-cli shows and takes every
// value unquoted. The empty value is legal and is the empty string.
//
// A value of more than 128 bytes after escaping is replaced by "#" and its
// SHA-256 in base64url, 44 bytes. Escaping never emits "#", so two values give
// one key only if their SHA-256 is the same. Each value is hashed by itself: a
// pattern that fixes a long value finds that value's keys. A key is therefore
// never longer than its template's literals and 128 bytes for each placeholder.
//
// Values are bytes, compared as bytes: neither letter case nor Unicode
// normal form nor surrounding space is changed. Two values that the service
// holds to be the same thing must be made the same before they come here.
//
// # Patterns
//
// A pattern is a Redis glob that matches, among the keys its template can
// build, exactly those with the given values.
//
//	inquiries:{role}:{userId}:{filters}
//
//	Pattern()                                       inquiries:*
//	Pattern("AGENT")                                inquiries:AGENT:*
//	Pattern("AGENT", "42")                          inquiries:AGENT:42:*
//	Pattern("AGENT", "42", "all")                   inquiries:AGENT:42:all
//	PatternWhere(map[string]string{"userId": "42"}) inquiries:*:42:*
//
// If only the last placeholders are wild, everything after the first of them
// is one "*": inquiries:AGENT:* and not inquiries:AGENT:*:*. As globs the two
// differ (the first matches inquiries:AGENT:x as well), but no key of the
// template tells them apart: each of them has all its separators. The first is
// a prefix, which the library compares many times faster than it matches a glob.
// A wild placeholder before a fixed one stays by itself, and there all later
// ones do too: in inquiries:*:42:* each ":" of the pattern can only stand for
// the same ":" of a key, so a "*" never reaches across a separator.
//
// A pattern knows nothing of other templates. user:* is the pattern of user:{id}
// and covers the keys of user:email:{email} as well.
//
// # Filters
//
// [Filters] turns a set of filters into one text, the same for every order in
// which they were given: page=2,status=open. The text passes through Key
// unchanged, or hashed if it is long.
//
// # Families
//
// The families that the library's users meet first are functions here; a family
// of your own is a template and a function, as in the package example.
//
//	user:{id}                            User, UserPattern
//	user:email:{email}                   UserByEmail, UserByEmailPattern
//	users:role:{role}                    UsersByRole, UsersByRolePattern
//	users:all                            UsersAll
//	inquiries:{role}:{userId}:{filters}  Inquiries, InquiriesPattern, InquiriesOfRole, InquiriesOf, InquiriesOfUser
//	analytics:workload:{timeRange}       Workload, WorkloadPattern
//
// No two of them ever build the same key: user:{id} with the id "email:x" is
// user:email%3Ax.
package keys
