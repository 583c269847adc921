package cachehttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachehttp"
)

func Example() {
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		panic(err)
	}
	defer tiers.Close()
	users, err := tiercache.New(tiers, tiercache.Options[string]{Name: "users", TTL: time.Minute})
	if err != nil {
		panic(err)
	}

	h, err := cachehttp.New(tiers, cachehttp.Config{
		Authorizer: func(r *http.Request, action string) (string, error) {
			name, password, ok := r.BasicAuth()
			switch {
			case !ok || password != "secret": // compare in constant time what is really secret
				return "", cachehttp.Unauthenticated(`Basic realm="cache"`)
			case action == "read", name == "root":
				return name, nil
			}
			return name, errors.New("only root may " + action)
		},
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	at := http.StripPrefix("/api/cache/stats", h)
	mux.Handle("/api/cache/stats", at)
	mux.Handle("/api/cache/stats/", at)
	server := httptest.NewUnstartedServer(mux)
	server.Config.RegisterOnShutdown(h.Close) // so that streams do not hold it up
	server.Start()
	defer server.Close()
	defer h.Close()

	for range 4 {
		_, err := users.GetOrLoad(context.Background(), "user:42", func(context.Context) (string, error) { return "Ann", nil })
		if err != nil {
			panic(err)
		}
	}
	ask := func(method, path, name, body string) *http.Response {
		r, err := http.NewRequest(method, server.URL+"/api/cache/stats"+path, strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if name != "" {
			r.SetBasicAuth(name, "secret")
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			panic(err)
		}
		return resp
	}

	resp := ask("GET", "", "ann", "")
	var s cachehttp.Snapshot
	fmt.Println(json.NewDecoder(resp.Body).Decode(&s), s.Cache.Hits, "of", s.Cache.Operations, s.Performance.Status)
	_ = resp.Body.Close()
	for _, name := range []string{"", "ann", "root"} {
		resp := ask("POST", "/invalidate", name, `{"kind": "key", "target": "user:42"}`)
		_ = resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// <nil> 3 of 4 fair
	// 401 Unauthorized
	// 403 Forbidden
	// 200 OK
}
