package cachehttp

import "time"

// Snapshot is the JSON of the endpoint, and of each event of its stream. Times are in
// milliseconds, shares in percent. The first three parts are older than the rest, and
// stay as they are.
type Snapshot struct {
	Cache struct {
		Hits       int64   `json:"hits"`
		Misses     int64   `json:"misses"`
		Operations int64   `json:"operations"` // hits + misses
		HitRate    Percent `json:"hitRate"`
		AvgTime    float64 `json:"avgTime"` // of one operation, loads included
	} `json:"cache"`
	Redis struct {
		Mode      string  `json:"mode"`
		Connected bool    `json:"connected"`
		PingMs    float64 `json:"pingMs"`
	} `json:"redis"`
	Performance struct {
		Status         string `json:"status"` // good, fair, poor
		Recommendation string `json:"recommendation"`
	} `json:"performance"`

	At      time.Time `json:"at"`
	Windows []Window  `json:"windows"` // the last second or so, minute, quarter of an hour
	Total   Row       `json:"total"`   // of all caches, since Open
	Caches  []Row     `json:"caches"`  // of the last quarter of an hour; or since Open

	Memory struct {
		Entries   int64 `json:"entries"`
		Bytes     int64 `json:"bytes"`
		Budget    int64 `json:"budget"`
		Evictions int64 `json:"evictions"`
	} `json:"memory"`
	Masters []Master `json:"masters"`
	Queued  int      `json:"queued"`

	Hot             []Hot            `json:"hot"`
	Invalidations   []Invalidation   `json:"invalidations"`
	Jobs            []Job            `json:"jobs"`
	Recommendations []Recommendation `json:"recommendations"`

	// What the reader of this snapshot may do: "clear", "invalidate", "warm".
	Allowed []string `json:"allowed"`
}

// Window is what happened in a while.
type Window struct {
	Seconds    float64 `json:"seconds"`    // how long it was: less than its name says when the process is younger
	Name       string  `json:"name"`       // "now", "1m", "15m"
	HitRate    Percent `json:"hitRate"`    // of all operations
	MemoryRate Percent `json:"memoryRate"` // answered by memory
	RedisRate  Percent `json:"redisRate"`  // answered by Redis
	PerSecond  struct {
		Memory float64 `json:"memory"`
		Redis  float64 `json:"redis"`
		Load   float64 `json:"load"` // neither had it
	} `json:"perSecond"`
	MemoryTime Times   `json:"memoryTime"`
	RedisTime  Times   `json:"redisTime"`
	LoadTime   Times   `json:"loadTime"`
	Loads      int64   `json:"loads"`
	LoadsSaved int64   `json:"loadsSaved"`
	TimeSaved  float64 `json:"timeSaved"` // milliseconds of the source's time
}

// Times are quantiles in milliseconds.
type Times struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// Row is one cache.
type Row struct {
	Name       string  `json:"name"`
	Operations int64   `json:"operations"`
	HitRate    Percent `json:"hitRate"`
	MemoryHits int64   `json:"memoryHits"`
	RedisHits  int64   `json:"redisHits"`
	StaleHits  int64   `json:"staleHits"`
	AbsentHits int64   `json:"absentHits"`
	Misses     struct {
		Cold        int64 `json:"cold"`
		Expired     int64 `json:"expired"`
		Invalidated int64 `json:"invalidated"`
		Evicted     int64 `json:"evicted"`
		Refused     int64 `json:"refused"`
	} `json:"misses"`
	Loads        int64   `json:"loads"`
	LoadErrors   int64   `json:"loadErrors"`
	Refreshes    int64   `json:"refreshes"`
	Coalesced    int64   `json:"coalesced"`
	FillsRefused int64   `json:"fillsRefused"`
	Errors       int64   `json:"errors"`
	Entries      int64   `json:"entries"`
	Bytes        int64   `json:"bytes"`
	Evictions    int64   `json:"evictions"`
	LoadTime     Times   `json:"loadTime"`
	LoadsSaved   int64   `json:"loadsSaved"`
	TimeSaved    float64 `json:"timeSaved"`
}

// Master is one Redis master.
type Master struct {
	Addr      string  `json:"addr"`
	Connected bool    `json:"connected"`
	State     string  `json:"state"` // closed, read-only, open, replaying
	PingMs    float64 `json:"pingMs"`
	NextProbe float64 `json:"nextProbeMs"`
	Opens     int64   `json:"opens"`
	Hearing   string  `json:"hearing"` // tracking, pubsub, none, connecting
	Fresh     bool    `json:"fresh"`
	LagMs     float64 `json:"lagMs"`
	Losses    int64   `json:"losses"`
	Epoch     uint64  `json:"epoch"`
	Pool      struct {
		Total    int64 `json:"total"`
		Idle     int64 `json:"idle"`
		Timeouts int64 `json:"timeouts"`
	} `json:"pool"`
}

// Hot is a key that is read often, masked unless Config.ShowKeys.
type Hot struct {
	Cache string  `json:"cache"`
	Key   string  `json:"key"`
	Share Percent `json:"share"`
}

// Invalidation is one of the last.
type Invalidation struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Target string    `json:"target"` // masked unless Config.ShowKeys
	Count  int       `json:"count"`
	Keys   int64     `json:"keys"`
	Queued bool      `json:"queued"`
	Heard  bool      `json:"heard"`
	Expire bool      `json:"expire"`
}

// Job is a job of the Warmer.
type Job struct {
	Name    string    `json:"name"`
	Running bool      `json:"running"`
	Idle    bool      `json:"idle"`
	Runs    int64     `json:"runs"`
	Total   int       `json:"total"`
	Done    int       `json:"done"`
	Failed  int       `json:"failed"`
	EtaMs   float64   `json:"etaMs"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Next    time.Time `json:"next,omitzero"`
	Error   string    `json:"error,omitempty"`
}

// Recommendation is a piece of advice.
type Recommendation struct {
	Rule   string `json:"rule"`
	Cache  string `json:"cache,omitempty"`
	Text   string `json:"text"`
	Option string `json:"option,omitempty"`
}

// Percent shows two decimals.
type Percent float64
