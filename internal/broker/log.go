package broker

import (
	"fmt"
	"log/slog"
	"strings"
)

// serverLog hands nats-server's log to slog. What the server notices is detail
// to the user of a run; only what it warns of is worth a line.
type serverLog struct {
	log   *slog.Logger
	fatal chan string // the first fatal message

	failed chan string // the first message that says that the store cannot be written
}

func (l *serverLog) Noticef(format string, v ...any) { say(l.log.Debug, format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { say(l.log.Debug, format, v) }
func (l *serverLog) Tracef(format string, v ...any)  { say(l.log.Debug, format, v) }

func (l *serverLog) Warnf(format string, v ...any)  { l.trouble(l.log.Warn, format, v) }
func (l *serverLog) Errorf(format string, v ...any) { l.trouble(l.log.Error, format, v) }

// trouble also looks for a store that cannot be written any more: the server
// goes on, but stores nothing and answers no publisher.
func (l *serverLog) trouble(log func(string, ...any), format string, v []any) {
	say(log, format, v)
	text := fmt.Sprintf(format, v...)
	for _, sign := range []string{"no space left", "Critical write error", "JetStream out of"} {
		if strings.Contains(text, sign) {
			select {
			case l.failed <- text:
			default:
			}
			return
		}
	}
}

func (l *serverLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}

func say(log func(string, ...any), format string, v []any) {
	log("nats-server", "text", fmt.Sprintf(format, v...))
}
