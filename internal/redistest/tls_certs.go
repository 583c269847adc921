package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority issues certificates that live as long as a test. Two of them do not
// know each other.
type Authority struct {
	t      testing.TB
	dir    string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	pem    []byte
	issued int64
}

// Certificate says what to issue. It is good for a server and for a client.
type Certificate struct {
	Hosts   []string // names and addresses; nil: 127.0.0.1 and localhost
	Expired bool     // since an hour
}

// NewAuthority makes one with a key of its own.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	template := a.template(Certificate{})
	template.Subject.CommonName = "an authority of tests"
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	template.ExtKeyUsage, template.DNSNames, template.IPAddresses = nil, nil, nil
	a.key = a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	a.must("its certificate", err)
	a.cert, err = x509.ParseCertificate(der)
	a.must("its certificate", err)
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// Pool trusts this authority and no other.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// File is the path of the authority's certificate, in PEM: what SSL_CERT_FILE
// takes.
func (a *Authority) File() string { return a.write("authority.pem", a.pem) }

// Issue makes a certificate and its key.
func (a *Authority) Issue(c Certificate) tls.Certificate {
	a.t.Helper()
	certFile, keyFile := a.Files(c)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	a.must("a pair", err)
	return pair
}

// Files is Issue for programs that read PEM files.
func (a *Authority) Files(c Certificate) (certFile, keyFile string) {
	a.t.Helper()
	key, template := a.newKey(), a.template(c)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	a.must("a certificate", err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	a.must("a key", err)
	name := template.SerialNumber.String()
	return a.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		a.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func (a *Authority) template(c Certificate) *x509.Certificate {
	a.issued++
	hosts, now := c.Hosts, time.Now()
	if hosts == nil {
		hosts = []string{"127.0.0.1", "localhost"}
	}
	out := &x509.Certificate{
		SerialNumber: big.NewInt(a.issued),
		Subject:      pkix.Name{CommonName: "a test"},
		NotBefore:    now.Add(-24 * time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if c.Expired {
		out.NotAfter = now.Add(-time.Hour)
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			out.IPAddresses = append(out.IPAddresses, ip)
		} else {
			out.DNSNames = append(out.DNSNames, h)
		}
	}
	return out
}

func (a *Authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must("a key", err)
	return key
}

func (a *Authority) write(name string, text []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	a.must("a file", os.WriteFile(path, text, 0o600))
	return path
}

func (a *Authority) must(what string, err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatalf("redistest: an authority could not make %s: %v", what, err)
	}
}
