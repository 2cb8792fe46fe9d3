package queue

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Options says where the broker is and who we are.
type Options struct {
	URL  string // one URL, or several separated by commas
	Name string // what the broker's operator sees, as in "windrow worker"

	CredsFile      string // user's credentials, as nsc makes them
	NKeyFile       string // seed of the user's nkey
	User, Password string
	Token          string

	CAFile            string // certificate authorities that may have signed the broker's certificate
	CertFile, KeyFile string // our own certificate

	// Patient makes Connect wait until the broker is there, and the connection
	// come back however long the broker is away. Else Connect returns at once,
	// and a connection that has been away for a minute is given up.
	Patient bool
}

// OptionsFromEnv reads the environment variables of the `nats` command:
// NATS_URL, NATS_CREDS, NATS_NKEY, NATS_USER, NATS_PASSWORD, NATS_TOKEN,
// NATS_CA, NATS_CERT and NATS_KEY. As there, a user without a password is a
// token.
func OptionsFromEnv(getenv func(string) string) Options {
	o := Options{
		URL:       getenv("NATS_URL"),
		CredsFile: getenv("NATS_CREDS"),
		NKeyFile:  getenv("NATS_NKEY"),
		User:      getenv("NATS_USER"),
		Password:  getenv("NATS_PASSWORD"),
		Token:     getenv("NATS_TOKEN"),
		CAFile:    getenv("NATS_CA"),
		CertFile:  getenv("NATS_CERT"),
		KeyFile:   getenv("NATS_KEY"),
	}
	if o.Password == "" && o.Token == "" {
		o.User, o.Token = "", o.User
	}
	return o
}

// ConnectError says why there is no connection and what to do about it. It is
// ErrUnreachable or ErrRefused, and its text holds no secret.
type ConnectError struct {
	URL         string // without credentials
	Credentials string // their kind
	Err         error
}

// Error implements error.
func (e *ConnectError) Error() string {
	advice := "start a NATS server there, or check NATS_URL"
	if errors.Is(e.Err, ErrRefused) {
		advice = "check the credentials (NATS_CREDS, NATS_NKEY, NATS_USER, NATS_PASSWORD, NATS_TOKEN) and, for TLS, NATS_CA, NATS_CERT and NATS_KEY"
	}
	return fmt.Sprintf("connect to %s with %s: %v; %s", e.URL, e.Credentials, e.Err, advice)
}

// Unwrap returns the reason.
func (e *ConnectError) Unwrap() error { return e.Err }

// Pauses and limits of a connection.
const (
	dialLimit      = 5 * time.Second
	firstPause     = 100 * time.Millisecond
	longestPause   = 5 * time.Second
	reconnectPause = 500 * time.Millisecond
	reconnects     = 120 // a minute of reconnectPause
	pingInterval   = 10 * time.Second
	pingsMissed    = 2 // a broken network is noticed after 30 s at the latest
)

// Connect connects to the broker. It returns a *ConnectError.
func Connect(ctx context.Context, o Options, log *slog.Logger) (*Conn, error) {
	for pause, waited := firstPause, false; ; pause, waited = min(2*pause, longestPause), true {
		c, err := connect(o, log)
		if err == nil || !o.Patient || !errors.Is(err, ErrUnreachable) {
			return c, err
		}
		if !waited {
			log.WarnContext(ctx, "waiting for the broker", "url", PublicURL(o.URL), "reason", err)
		}
		if sleep(ctx, pause) != nil {
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

// sleep waits for half to all of d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func connect(o Options, log *slog.Logger) (*Conn, error) {
	c := &Conn{log: log, lost: make(chan struct{}), url: PublicURL(o.URL), credentials: o.credentials()}
	err := c.dial(o)
	if err == nil {
		c.js, err = jetstream.New(c.nc, jetstream.WithDefaultTimeout(requestLimit))
	}
	if err != nil {
		return nil, &ConnectError{c.url, c.credentials, classifyDial(err)}
	}
	return c, nil
}

func (c *Conn) dial(o Options) error {
	// Answers come to subjects below the prefix. A permission for _INBOX.>
	// covers it; a narrower one keeps others from listening.
	inboxPrefix := "_INBOX"
	if name := strings.Join(strings.Fields(o.Name), "."); name != "" {
		inboxPrefix += "." + name
	}
	limit := reconnects
	if o.Patient {
		limit = -1
	}
	options := []nats.Option{
		nats.Name(o.Name),
		nats.CustomInboxPrefix(inboxPrefix),
		nats.Timeout(dialLimit),
		nats.SetCustomDialer(&dialer{}),
		nats.MaxReconnects(limit),
		nats.ReconnectWait(reconnectPause),
		nats.ReconnectBufSize(-1), // what cannot be sent is an error, not a memory
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsMissed),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			c.disconnected()
			if err != nil {
				c.log.Warn("broker connection lost", "reason", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { c.log.Info("broker connection restored") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.complain(err, inboxPrefix) }),
		nats.NoCallbacksAfterClientClose(),
	}
	authentication, err := o.authentication()
	if err != nil {
		return err
	}
	c.nc, err = nats.Connect(o.URL, append(options, authentication...)...)
	return err
}

// dialer makes the connections of one client, one at a time. The client
// library forgets one whose handshake fails; with each attempt to reconnect, a
// file would stay open until memory is collected.
type dialer struct{ last net.Conn }

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	if d.last != nil {
		_ = d.last.Close() // whatever it was, it is over
	}
	conn, err := net.DialTimeout(network, address, dialLimit) //nolint:noctx // the library has none to give
	if err != nil {
		d.last = nil
		return nil, err
	}
	d.last = conn
	return conn, nil
}

// complain receives the errors that the broker reports aside. A denial that
// belongs to a request is that request's error.
func (c *Conn) complain(err error, inboxPrefix string) {
	subject, denied := denial(err)
	switch {
	case denied == nil:
		c.log.Warn("broker connection disturbed", "reason", err)
	case !c.denials.deny(subject, inboxPrefix, denied) && c.denials.worthSaying(time.Now()):
		c.log.Error("permission denied", "reason", denied)
	}
}

func (o Options) authentication() ([]nats.Option, error) {
	var options []nats.Option
	if o.CredsFile != "" {
		options = append(options, nats.UserCredentials(o.CredsFile))
	}
	if o.NKeyFile != "" {
		nkey, err := nats.NkeyOptionFromSeed(o.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRefused, err)
		}
		options = append(options, nkey)
	}
	if o.User != "" {
		options = append(options, nats.UserInfo(o.User, o.Password))
	}
	if o.Token != "" {
		options = append(options, nats.Token(o.Token))
	}
	if o.CAFile != "" {
		options = append(options, nats.RootCAs(o.CAFile))
	}
	if o.CertFile != "" {
		options = append(options, nats.ClientCert(o.CertFile, o.KeyFile))
	}
	return options, nil
}

// credentials names the kind of credentials.
func (o Options) credentials() string {
	switch {
	case o.CredsFile != "":
		return "the credentials file " + o.CredsFile
	case o.NKeyFile != "":
		return "the nkey in " + o.NKeyFile
	case o.User != "":
		return fmt.Sprintf("user %q and a password", o.User)
	case o.Token != "":
		return "a token"
	case strings.Contains(o.URL, "@"):
		return "the credentials in the URL"
	case o.CertFile != "":
		return "the certificate " + o.CertFile
	}
	return "no credentials"
}

// PublicURL returns the URLs in list without credentials.
func PublicURL(list string) string {
	urls := strings.Split(list, ",")
	for i, text := range urls {
		if scheme, rest, found := strings.Cut(text, "://"); found {
			urls[i] = scheme + "://" + rest[strings.LastIndex(rest, "@")+1:]
		} else {
			urls[i] = text[strings.LastIndex(text, "@")+1:]
		}
	}
	return strings.Join(urls, ",")
}

// classifyDial wraps err in ErrRefused if the same attempt can never succeed,
// else in ErrUnreachable.
func classifyDial(err error) error {
	if _, ok := errors.AsType[*url.Error](err); ok { // its text has the password
		return fmt.Errorf("%w: not a valid URL (in credentials, all but letters and digits must be %%-encoded)", ErrRefused)
	}
	switch {
	case errors.Is(err, ErrRefused):
		return err
	case errors.Is(err, nats.ErrNoServers):
		return fmt.Errorf("%w: no NATS server answers there", ErrUnreachable)
	case refusal(err):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// refusal tells whether err is about who we are, or who the broker is.
func refusal(err error) bool {
	for _, refused := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
		nats.ErrSecureConnRequired, nats.ErrSecureConnWanted, nats.ErrNkeysNotSupported, fs.ErrNotExist, fs.ErrPermission,
	} {
		if errors.Is(err, refused) {
			return true
		}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}
