package queue

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// denials connects the broker's complaints about missing permissions, which
// arrive on their own, with the requests that they are about, which would
// otherwise time out.
type denials struct {
	mu      sync.Mutex
	inbox   error // set once the broker forbids us to hear its answers
	watches map[*watch]struct{}
	said    time.Time // when a denial was last logged
}

const sayInterval = 10 * time.Second

type watch struct {
	prefixes []string
	cancel   context.CancelCauseFunc
}

// watch returns a context that ends with ErrDenied as its cause when the
// broker denies access to a subject that starts with one of the prefixes.
func (d *denials) watch(ctx context.Context, prefixes []string) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{prefixes, cancel}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inbox != nil {
		cancel(d.inbox)
	}
	if d.watches == nil {
		d.watches = make(map[*watch]struct{})
	}
	d.watches[w] = struct{}{}
	return ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watches, w)
		cancel(nil)
	}
}

// violation reads the server's complaint.
var violation = regexp.MustCompile(`Permissions Violation for (Publish|Subscription) to "(\S+)"`)

// denial returns the subject that the server's complaint is about, and the
// complaint in our words; nil if it is about something else.
func denial(complaint error) (subject string, denied error) {
	match := violation.FindStringSubmatch(complaint.Error())
	if match == nil {
		return "", nil
	}
	verb := "publish"
	if match[1] == "Subscription" {
		verb = "subscribe"
	}
	return match[2], fmt.Errorf("%w to %s to %s", ErrDenied, verb, match[2])
}

// deny ends the requests that a denial is about. It returns false if there are
// none.
func (d *denials) deny(subject, inboxPrefix string, denied error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	inbox := strings.HasPrefix(subject, inboxPrefix)
	if inbox {
		d.inbox = denied
	}
	found := false
	for w := range d.watches {
		if inbox || w.concerns(subject) {
			w.cancel(denied)
			found = true
		}
	}
	return found
}

func (w *watch) concerns(subject string) bool {
	return slices.ContainsFunc(w.prefixes, func(prefix string) bool { return strings.HasPrefix(subject, prefix) })
}

// worthSaying tells whether the last denial that belonged to no request is
// long ago; acknowledgements, for one, come in thousands.
func (d *denials) worthSaying(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(d.said) < sayInterval {
		return false
	}
	d.said = now
	return true
}
