package tiercache_test
import ("testing";"strconv";"context";"math/rand/v2";"github.com/tiercache/tiercache";"github.com/tiercache/tiercache/internal/redistest";"time")
func BenchmarkZZZipf(b *testing.B) {
 for _, n := range []int{100000} {
  keys := make([]string,n); for i := range keys { keys[i]="user:"+strconv.Itoa(i) }
  idx := make([]int32, 1<<20); r := rand.New(rand.NewPCG(1,2)); z := rand.NewZipf(r,1.01,1,uint64(n-1)); for i := range idx { idx[i]=int32(z.Uint64()) }
  b.Run("map/"+strconv.Itoa(n), func(b *testing.B) {
   m := make(map[string]*profile,n); for _,k := range keys { p:=ann; m[k]=&p }
   s := int64(0)
   i:=0
   for b.Loop() { s += m[keys[idx[i&(1<<20-1)]]].ID; i++ }
   _ = s
  })
  b.Run("tiercache/"+strconv.Itoa(n), func(b *testing.B) {
   tiers, err := tiercache.Open(tiercache.Config{MemoryBytes: 4<<30, Redis: redistest.Start(b).Client(), Prefix: "t:"}); if err != nil { b.Fatal(err) }
   defer tiers.Close()
   c, err := tiercache.New(tiers, tiercache.Options[*profile]{Name:"g",TTL:time.Hour,Cost: func(*profile) int64 {return 100}}); if err != nil { b.Fatal(err) }
   m := map[string]*profile{}
   for _,k := range keys { p:=ann; m[k] = &p }
   if err := c.SetMany(bg,m); err != nil { b.Fatal(err)}
   load := func(context.Context) (*profile, error) { return &ann, nil }
   for _, k := range keys { c.GetOrLoad(bg, k, load) }
   s := int64(0)
   i:=0
   h := c.Stats().MemoryHits
   b.ResetTimer()
   for b.Loop() { p, _ := c.GetOrLoad(bg, keys[idx[i&(1<<20-1)]], load); s += p.ID; i++ }
   b.ReportMetric(float64(c.Stats().MemoryHits-h)/float64(b.N), "hits/op")
   _ = s
  })
 }
}
