package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/examples/internal/store"
	"github.com/tiercache/tiercache/keys"
)

// Loads that began before a change are under way all the time; none may bring
// the old answer back after the change was acknowledged.
func TestAChangeIsNeverUndoneByALoadThatBeganBeforeIt(t *testing.T) {
	t.Parallel()
	i := service(t)
	user := i.who(store.RoleUser, 1)
	total := get[store.InquiryPage](i, "/api/inquiries", user).Total

	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				i.do("GET", "/api/users/me", user.token, nil)
				i.do("GET", "/api/inquiries", user.token, nil)
			}
		})
	}
	defer readers.Wait()
	defer close(stop)
	for n := range 40 {
		name := fmt.Sprintf("Name %d", n)
		want[session](i, http.StatusOK, "PATCH", "/api/users/me", user.token, map[string]string{"name": name})
		require.Equal(t, name, get[store.Profile](i, "/api/users/me", user).Name)
		want[store.Inquiry](i, http.StatusCreated, "POST", "/api/inquiries", user.token, map[string]string{"category": "other", "subject": name})
		total++
		require.Equal(t, total, get[store.InquiryPage](i, "/api/inquiries", user).Total)
		require.Equal(t, total, get[store.Profile](i, "/api/users/me", user).Asked.Total)
	}
}

// Two queries share an entry exactly if they ask for the same.
func FuzzFiltersAndKeysCorrespond(f *testing.F) {
	f.Add("status=open&page=2", "page=2&status=open")
	f.Add("q=a%2Cstatus%3Dopen", "q=a&status=open")
	f.Add("limit=20", "")
	f.Add("status=open;x", "status=open&status=open")
	f.Fuzz(func(t *testing.T, a, b string) {
		read := func(query string) (store.Filter, string, bool) {
			r := httptest.NewRequest("GET", "/api/inquiries", nil)
			r.URL = &url.URL{Path: "/api/inquiries", RawQuery: query}
			filter, err := inquiryFilter(r)
			if err != nil {
				var refused httpError
				require.ErrorAs(t, err, &refused)
				require.Equal(t, http.StatusBadRequest, refused.status)
				return filter, "", false
			}
			require.True(t, filter.Page >= 1 && filter.Page <= maxPage && filter.Limit >= 1 && filter.Limit <= maxLimit && len(filter.Text) <= maxText)
			return filter, keys.Inquiries("USER", "1", filters(filter)), true
		}
		fa, ka, oka := read(a)
		fb, kb, okb := read(b)
		if oka && okb {
			require.Equal(t, fa == fb, ka == kb, "%+v %q, %+v %q", fa, ka, fb, kb)
		}
	})
}
