package ablate

// Guard is one of the protocol's: docs/protocol.md has the interleaving that each
// closes and the test that fails without it.
type Guard string

// The guards that can be taken out.
const (
	Generation   Guard = "generation"    // what began before a local invalidation does not enter memory
	Pushes       Guard = "pushes"        // what was read before a push does not enter memory
	FirstPass    Guard = "first-pass"    // memory is clean before Redis is asked
	SecondPass   Guard = "second-pass"   // and again after
	Forget       Guard = "forget"        // nobody joins a flight that an invalidation overtook
	JoinerJudged Guard = "joiner-judged" // what a joiner gets is judged
	PatternSeq   Guard = "pattern-seq"   // memory meets the patterns issued since
	TagCompare   Guard = "tag-compare"   // a value counts while the generations of its tags do
	TagMoved     Guard = "tag-moved"     // a record read before a push is not kept
	TagClock     Guard = "tag-clock"     // a value loaded before its tag was invalidated is not stored
	Stamp        Guard = "stamp"         // a value counts in the life of the server it was written to
	Epoch        Guard = "epoch"         // what was stored before hearing was lost is void
	Bound        Guard = "bound"         // memory is served while a recent PONG is in hand
	Doubt        Guard = "doubt"         // a push for one's own fill is not taken for nothing else
	RearmMoved   Guard = "rearm-moved"   // an entry is believed again if no push came since the look
	RearmToken   Guard = "rearm-token"   // and Redis has it under the same token
	Cover        Guard = "cover"         // a key in the journal is not read from Redis
	Replay       Guard = "replay"        // what waits in the journal is sent
	MarkerKept   Guard = "marker-kept"   // a load stores nothing under a marker
	OutageVoid   Guard = "outage-void"   // entries of an outage end with it
	RefreshFence Guard = "refresh-fence" // a refresh writes if what it set out to replace still stands
)

// All guards.
var All = []Guard{
	Generation, Pushes, FirstPass, SecondPass, Forget, JoinerJudged, PatternSeq, TagCompare, TagMoved, TagClock,
	Stamp, Epoch, Bound, Doubt, RearmMoved, RearmToken, Cover, Replay, MarkerKept, OutageVoid, RefreshFence,
}
