package schema_test

import (
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	user struct {
		ID   int64  `json:"id"`
		Name string `json:"name,omitempty"`
	}
	person struct { // user by another name, in another order
		FullName string `json:"name,omitempty" db:"full_name"`
		ID       int64  `json:"id"`
	}
	longUser struct {
		ID    int64  `json:"id"`
		Name  string `json:"name,omitempty"`
		Email string `json:"email"`
	}
	node  struct{ Next *node }
	link  struct{ Next *link }
	other struct{ Next []other }
	list  []list
	chain []chain
	tree  map[string][]tree
	left  struct {
		R *right
		N int
	}
	right struct {
		L *left
		S string
	}
	role   string
	opaque struct{}
	veiled struct{}
	base   struct{ A int }
)

func (opaque) MarshalJSON() ([]byte, error)  { return []byte("1"), nil }
func (*opaque) UnmarshalJSON([]byte) error   { return nil }
func (*veiled) UnmarshalText(_ []byte) error { return nil }

// tagged is a struct of one int with that tag, which vet might refuse.
func tagged(name string, tag reflect.StructTag) any {
	return reflect.New(reflect.StructOf([]reflect.StructField{{Name: name, Type: reflect.TypeFor[int](), Tag: tag}})).Elem().Interface()
}

func TestWhichTypesHaveOneFormInJSON(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		a, b any
		same bool
	}{
		"another name, order, and tags of others": {user{}, person{}, true},
		"a field more":    {user{}, longUser{}, false},
		"a field renamed": {struct{ A int }{}, struct{ B int }{}, false},
		"a field renamed in Go": {struct{ A int }{}, struct {
			B int `json:"A"`
		}{}, true},
		"a tag changed": {struct {
			A int `json:"a"`
		}{}, struct {
			A int `json:"b"`
		}{}, false},
		"a tag lost": {struct {
			A int `json:"a"`
		}{}, struct{ A int }{}, false},
		"an option of a tag": {struct {
			A int `json:"a"`
		}{}, struct {
			A int `json:"a,string"`
		}{}, false},
		"a tag JSON cannot take":  {tagged("A", `json:"a\"b"`), tagged("B", `json:"a\"b"`), false},
		"a field retyped":         {struct{ A int }{}, struct{ A string }{}, false},
		"a field of another size": {struct{ A int32 }{}, struct{ A int64 }{}, false},
		"a named string":          {struct{ A string }{}, struct{ A role }{}, true},
		"a pointer":               {struct{ A int }{}, struct{ A *int }{}, false},
		"a slice":                 {struct{ A int }{}, struct{ A []int }{}, false},
		"slice and array":         {[]int{}, [3]int{}, false},
		"arrays of other lengths": {[2]int{}, [3]int{}, false},
		"keys of a map":           {map[string]int{}, map[int]int{}, false},
		"values of a map":         {map[string]int{}, map[string]bool{}, false},
		"key and value":           {map[string]int{}, map[int]string{}, false},
		"deep within":             {[]map[string]*user{}, []map[string]*longUser{}, false},
		"deep within, renamed":    {[]map[string]*user{}, []map[string]*person{}, true},
		"an interface":            {struct{ A any }{}, struct{ A error }{}, true},
		"a field without JSON": {struct{ A int }{}, struct {
			A int
			B int `json:"-"`
		}{}, true},
		"a field called -": {tagged("A", `json:"-"`), tagged("A", `json:"-,"`), false},
		"an unexported field": {struct{ A int }{}, struct {
			A int
			b int
		}{}, true},
		"an embedded struct": {struct{ base }{}, struct{ A int }{}, false},
		"an embedded struct with a tag": {struct{ base }{}, struct {
			base `json:"b"`
		}{}, false},
		"that leads to itself":           {node{}, link{}, true},
		"in another way":                 {node{}, other{}, false},
		"slices of themselves":           {list{}, chain{}, true},
		"and of nothing else":            {list{}, tree{}, false},
		"two that lead to each other":    {left{}, right{}, false},
		"that encode themselves":         {opaque{}, veiled{}, false},
		"one that does, and its make-up": {veiled{}, struct{}{}, false},
		"times and text":                 {struct{ A time.Time }{}, struct{ A string }{}, false},
		"times and durations":            {struct{ A time.Time }{}, struct{ A time.Duration }{}, false},
		"names that run together": {struct {
			A int `json:"a b"`
		}{}, struct {
			A int `json:"a"`
			B int `json:"b"`
		}{}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := schema.JSON(reflect.TypeOf(c.a)), schema.JSON(reflect.TypeOf(c.b))
			if c.same {
				assert.Equal(t, a, b)
			} else {
				assert.NotEqual(t, a, b)
			}
		})
	}
}

// A codec that is not known may look at everything.
func TestForAnotherCodecOrderTagsAndHiddenFieldsCount(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		a, b any
		same bool
	}{
		"another name":  {node{}, link{}, true},
		"another order": {struct{ A, B int }{}, struct{ B, A int }{}, false},
		"another's tag": {struct {
			A int `msgpack:"a"`
		}{}, struct {
			A int `msgpack:"b"`
		}{}, false},
		"hidden fields": {struct{ A int }{}, struct {
			A int
			b int
		}{}, false},
		"fields renamed": {struct {
			A int `json:"a"`
		}{}, struct {
			B int `json:"a"`
		}{}, false},
		"hidden by -": {struct{ A int }{}, struct {
			A int
			B int `json:"-"`
		}{}, false},
		"embedded or not": {struct{ base }{}, struct{ base base }{}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := schema.Any(reflect.TypeOf(c.a)), schema.Any(reflect.TypeOf(c.b))
			if c.same {
				assert.Equal(t, a, b)
			} else {
				assert.NotEqual(t, a, b)
			}
		})
	}
	assert.NotContains(t, schema.Any(reflect.TypeFor[time.Time]()), "wall", "what another release of Go may change")
}

// Ten types that all refer to each other have millions of ways through them.
type (
	m0 struct {
		A *m0
		B *m1
		C *m2
		D *m3
		E *m4
		F *m5
		G *m6
		H *m7
		I *m8
		J *m9
	}
	m1 m0
	m2 m0
	m3 m0
	m4 m0
	m5 m0
	m6 m0
	m7 m0
	m8 m0
	m9 m0
)

func TestTypesThatAllReferToEachOtherAreDescribedOnceEach(t *testing.T) {
	t.Parallel()
	assert.Less(t, len(schema.JSON(reflect.TypeFor[m0]())), 4<<10)
}

// Two processes that disagreed would never share a value.
func TestEveryProcessSaysTheSame(t *testing.T) {
	describe := func() string {
		return schema.JSON(reflect.TypeFor[map[string]left]()) + schema.Any(reflect.TypeFor[tree]()) +
			schema.Any(reflect.TypeFor[struct {
				A time.Time
				B m0
			}]())
	}
	if os.Getenv("DESCRIBE") != "" {
		_, _ = os.Stdout.WriteString("<" + describe() + ">")
		return
	}
	for range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEveryProcessSaysTheSame$")
		cmd.Env = append(os.Environ(), "DESCRIBE=1")
		out, err := cmd.Output()
		require.NoError(t, err)
		_, text, _ := strings.Cut(string(out), "<")
		text, _, _ = strings.Cut(text, ">")
		require.Equal(t, describe(), text)
	}
}

// What is in Redis today must be read tomorrow: a description that changes makes
// every value of every service a miss.
func TestTheDescriptionOfATypeStaysAsItIs(t *testing.T) {
	t.Parallel()
	assert.Equal(t, `{"id""" int64;"name""omitempty" string;}`, schema.JSON(reflect.TypeFor[user]()))
	assert.Equal(t, `{"Next""" ptr[#0];}`, schema.JSON(reflect.TypeFor[node]()))
	assert.Equal(t, `map[string:slice[^2]]`, schema.JSON(reflect.TypeFor[tree]()))
	assert.Equal(t, `{"A""" int;"T""" ="time.Time"{};}`, schema.JSON(reflect.TypeFor[struct {
		T time.Time
		A int
	}]()))
	assert.Equal(t, `{"ID""json:\"id\"" int64;"Name""json:\"name,omitempty\"" string;}`, schema.Any(reflect.TypeFor[user]()))
}
