package redistest

import (
	"crypto/tls"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATLSServerWantsWhatItWasToldToWant(t *testing.T) {
	t.Parallel()
	stranger := NewAuthority(t)
	for name, c := range map[string]struct {
		server TLS
		client func(s *TLSServer) *tls.Config
		want   string // "": it answers
	}{
		"no certificate wanted":       {TLS{}, (*TLSServer).Trusting, ""},
		"one given all the same":      {TLS{}, (*TLSServer).Known, ""},
		"one wanted, one given":       {TLS{ClientCertificates: true}, (*TLSServer).Known, ""},
		"one wanted, none given":      {TLS{ClientCertificates: true}, (*TLSServer).Trusting, "certificate required"},
		"another authority's wanted":  {TLS{ClientCertificates: true}, given(stranger, Certificate{}), "certificate authority"},
		"an expired server":           {TLS{Certificate: Certificate{Expired: true}}, (*TLSServer).Trusting, "expired"},
		"a server of another name":    {TLS{Certificate: Certificate{Hosts: []string{"elsewhere.example"}}}, (*TLSServer).Trusting, "IP SANs"},
		"a server of another address": {TLS{Certificate: Certificate{Hosts: []string{"127.0.0.9"}}}, (*TLSServer).Trusting, "127.0.0.9"},
		"an unknown authority":        {TLS{}, func(*TLSServer) *tls.Config { return &tls.Config{ServerName: "127.0.0.1", RootCAs: stranger.Pool()} }, "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := StartTLS(t, c.server)
			err := s.TLSClient(c.client(s)).Ping(t.Context()).Err()
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
			assert.NoError(t, s.Client().Ping(t.Context()).Err(), "the plain port is there in any case")
		})
	}
}

func given(a *Authority, c Certificate) func(s *TLSServer) *tls.Config {
	return func(s *TLSServer) *tls.Config {
		config := s.Trusting()
		// Set in full: by Certificates alone none of an authority unknown to the
		// server would be sent.
		pair := a.Issue(c)
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		return config
	}
}

func TestATLSServerKeepsItsPortsAndItsCertificateOverARestart(t *testing.T) {
	t.Parallel()
	s := StartTLS(t, TLS{ClientCertificates: true}, "--requirepass", "open sesame")
	client, addr := s.TLSClient(s.Known()), s.TLSAddr()
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	s.Restart()
	assert.Equal(t, addr, s.TLSAddr())
	require.NoError(t, client.Ping(t.Context()).Err())
	o, err := redis.ParseURL(s.URL())
	require.NoError(t, err)
	assert.Equal(t, addr, o.Addr)
}

func TestAClusterAndASentinelSpeakTLS(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) redis.UniversalClient{
		"cluster":  func(t testing.TB) redis.UniversalClient { return StartTLSCluster(t, 2) },
		"sentinel": func(t testing.TB) redis.UniversalClient { return StartTLSSentinel(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := start(t)
			for _, key := range []string{"a", "b", "c", "d", "e"} {
				require.NoError(t, client.Set(t.Context(), key, "v", 0).Err())
				require.Equal(t, "v", client.Get(t.Context(), key).Val())
			}
		})
	}
}
