package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestTheDoctorFindsAServerWellOverTLS(t *testing.T) {
	s := redistest.StartTLS(t, redistest.TLS{ClientCertificates: true}, "--requirepass", "s3cret-word")
	certFile, keyFile := s.Authority.Files(redistest.Certificate{})
	host, port, _ := strings.Cut(s.TLSAddr(), ":")
	for name, env := range map[string][]string{
		"URL":  {"REDIS_URL", "rediss://:s3cret-word@" + s.TLSAddr()},
		"host": {"REDIS_HOST", host, "REDIS_PORT", port, "REDIS_TLS", "true", "REDIS_PASSWORD", "s3cret-word"},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, env...)
			text, err := diagnose(t, "-ca", s.Authority.File(), "-cert", certFile, "-key", keyFile)
			require.NoError(t, err, text)
			for _, want := range []string{`address +` + s.TLSAddr() + `, database 0, TLS yes`, `tiercache +mode single, connected yes, value stored yes`,
				`hearing +tracking, memory serves yes`, "all that it uses"} {
				assert.Regexp(t, want, text)
			}
			assert.NotContains(t, text, "s3cret")
		})
	}
}

func TestTheDoctorSaysInOneLineWhyItIsNotLetIn(t *testing.T) {
	ours, stranger := redistest.NewAuthority(t), redistest.NewAuthority(t)
	good := redistest.StartTLS(t, redistest.TLS{Authority: ours}, "--requirepass", "s3cret-word")
	strict := redistest.StartTLS(t, redistest.TLS{Authority: ours, ClientCertificates: true}, "--requirepass", "s3cret-word")
	old := redistest.StartTLS(t, redistest.TLS{Authority: ours, ClientCertificates: true}, "--requirepass", "s3cret-word", "--tls-protocols", "TLSv1.2")
	expired := redistest.StartTLS(t, redistest.TLS{Authority: ours, Certificate: redistest.Certificate{Expired: true}})
	elsewhere := redistest.StartTLS(t, redistest.TLS{Authority: ours, Certificate: redistest.Certificate{Hosts: []string{"127.0.0.9"}}})
	pair := func(a *redistest.Authority, c redistest.Certificate) []string {
		certFile, keyFile := a.Files(c)
		return []string{"-ca", ours.File(), "-cert", certFile, "-key", keyFile}
	}
	trusting := []string{"-ca", ours.File()}
	require.NoError(t, good.Client().Do(context.Background(), "ACL", "SETUSER", "poor", "on", ">s3cret-word", "~*", "&*", "+@all", "-select").Err())
	for name, c := range map[string]struct {
		url  string
		args []string
		want string
	}{
		"an unknown authority":           {"rediss://:s3cret-word@" + good.TLSAddr(), nil, "TLS: the server's certificate is signed by an authority that is not known here"},
		"another authority is trusted":   {"rediss://:s3cret-word@" + good.TLSAddr(), []string{"-ca", stranger.File()}, "TLS: the server's certificate is signed by an authority that is not known here"},
		"another host's certificate":     {"rediss://" + elsewhere.TLSAddr(), trusting, "TLS: the server's certificate is another host's: certificate is valid for 127.0.0.9, not 127.0.0.1"},
		"an expired certificate":         {"rediss://" + expired.TLSAddr(), trusting, "TLS: the server's certificate has expired"},
		"no client certificate":          {"rediss://:s3cret-word@" + strict.TLSAddr(), trusting, "TLS: the server requires a client certificate; -cert and -key"},
		"none, by TLS 1.2":               {"rediss://:s3cret-word@" + old.TLSAddr(), trusting, "it may require a client certificate, which -cert and -key name"},
		"an expired client certificate":  {"rediss://:s3cret-word@" + strict.TLSAddr(), pair(ours, redistest.Certificate{Expired: true}), "TLS: the client certificate has expired"},
		"wrong password":                 {"rediss://:s3cret-words@" + good.TLSAddr(), trusting, "the password is wrong"},
		"no password":                    {"rediss://" + good.TLSAddr(), trusting, "the server requires a password"},
		"no TLS where it is spoken":      {"redis://:s3cret-word@" + good.TLSAddr(), nil, "the server hangs up without a word; if it speaks TLS at this port: rediss://"},
		"TLS where it is not":            {"rediss://:s3cret-word@" + good.Addr(), trusting, "the server may not speak TLS at this port"},
		"a database that is not allowed": {"rediss://poor:s3cret-word@" + good.TLSAddr() + "/2", trusting, "the user may not open this connection: "},
		"files without TLS":              {"redis://:s3cret-word@" + good.Addr(), trusting, "-ca, -cert and -key are for TLS"},
		"a file that is not there":       {"rediss://" + good.TLSAddr(), []string{"-ca", "nowhere.pem"}, "-ca: "},
		"a file with no certificate":     {"rediss://" + good.TLSAddr(), []string{"-ca", "main.go"}, "-ca: no certificate in main.go"},
		"a certificate without its key":  {"rediss://" + good.TLSAddr(), []string{"-cert", ours.File()}, "-cert, -key: "},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, "REDIS_URL", c.url)
			text, err := diagnose(t, append([]string{"-timeout", "5s"}, c.args...)...)
			require.Error(t, err, text)
			assert.Contains(t, err.Error(), c.want)
			assert.NotContains(t, err.Error(), "\n")
			assert.NotContains(t, text, "s3cret")
		})
	}
}
