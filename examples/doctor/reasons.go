package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// plain says in one line why no connection could be made. secure: it was to be TLS.
func plain(err error, secure bool) string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var header tls.RecordHeaderError
	var timeout net.Error
	text := err.Error()
	says := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case errors.As(err, &unknown):
		return "TLS: the server's certificate is signed by an authority that is not known here; SSL_CERT_FILE or -ca names a file with that authority's"
	case errors.As(err, &host):
		return "TLS: the server's certificate is another host's: " + strings.TrimPrefix(host.Error(), "x509: ")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "TLS: the server's certificate has expired, or is not valid yet: " + invalid.Detail
	case errors.As(err, &header):
		return "TLS: the server does not speak it at this port; redis:// and no REDIS_TLS are without"
	case says("tls: certificate required"):
		return "TLS: the server requires a client certificate; -cert and -key name its files, a service puts it into its client's TLSConfig"
	case says("remote error: tls: unknown certificate authority"):
		return "TLS: the server does not know the authority that signed the client certificate"
	case says("remote error: tls: expired certificate"):
		return "TLS: the client certificate has expired"
	case says("remote error: tls: "):
		_, alert, _ := strings.Cut(text, "remote error: tls: ")
		return "TLS: the server ended the handshake (" + alert + "); it may require a client certificate, which -cert and -key name, or another version of TLS"
	case says("WRONGPASS"):
		return "the password is wrong, or the user's name (WRONGPASS)"
	case says("NOAUTH"):
		return "the server requires a password (NOAUTH)"
	case says("NOPERM"):
		return "the user may not open this connection: " + err.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens at this address: connection refused"
	case !secure && hungUp(err):
		return "the server hangs up without a word; if it speaks TLS at this port: rediss://, or REDIS_TLS=true"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		if secure {
			return "it is too late for an answer; the server may not speak TLS at this port: " + text
		}
		return "it is too late for an answer: " + text
	}
	return text
}

// hungUp tells that the connection was there and ended.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// certificates are the files of what the environment has no variable for.
type certificates struct{ authority, cert, key string }

// into returns o with them; it keeps nothing that o has of its client.
func (c certificates) into(o redis.Options) (*redis.Options, error) {
	if c == (certificates{}) {
		return &o, nil
	}
	if o.TLSConfig == nil {
		return nil, errors.New("-ca, -cert and -key are for TLS: rediss://, or REDIS_TLS=true")
	}
	config := o.TLSConfig.Clone()
	if c.authority != "" {
		text, err := os.ReadFile(c.authority)
		if err != nil {
			return nil, fmt.Errorf("-ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("-ca: no certificate in %s", c.authority)
		}
	}
	if c.cert != "" || c.key != "" {
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			return nil, fmt.Errorf("-cert, -key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	o.TLSConfig = config
	o.Dialer = nil // go-redis's own knows the options that it was made of
	return &o, nil
}
