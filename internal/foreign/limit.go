package foreign

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Limits are what a process may spend that reads a file nobody vouches for.
type Limits struct {
	Clock  time.Duration // wall and CPU time of one question; a second more for every 5 MiB it may have to read
	Memory uint64        // bytes of data, all questions together
	Shares int           // how many processes read at once, if more than one: each has so much more time
}

// DefaultLimits are enough for sound files.
var DefaultLimits = Limits{Clock: time.Minute, Memory: 2 << 30}

const bytesASecond = 5 << 20 // of the slowest disks

// clock returns the time for a question that may read so many bytes.
func (l Limits) clock(bytes int64) time.Duration {
	return (l.Clock + time.Duration(bytes/bytesASecond)*time.Second) * time.Duration(max(1, l.Shares))
}

// Limit limits this process, which is about to read an unknown file, to an
// amount of memory and of CPU time from now on. The time may be set anew.
func Limit(memory uint64, cpu time.Duration) error {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return fmt.Errorf("limit this process: %w", err)
	}
	seconds := uint64((time.Duration(used.Utime.Nano()+used.Stime.Nano()) + cpu + 2*time.Second) / time.Second) //nolint:gosec // a time is not negative
	watchCPU.Do(func() { go dieOfCPU() })
	for resource, limit := range map[int]unix.Rlimit{
		unix.RLIMIT_DATA: {Cur: memory, Max: memory},
		unix.RLIMIT_CPU:  {Cur: seconds, Max: unix.RLIM_INFINITY},
		unix.RLIMIT_CORE: {},
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return fmt.Errorf("limit this process: %w", err)
		}
		limit.Cur, limit.Max = min(limit.Cur, now.Max), min(limit.Max, now.Max)
		if err := unix.Setrlimit(resource, &limit); err != nil {
			return fmt.Errorf("limit this process: %w", err)
		}
	}
	return nil
}

var watchCPU sync.Once

// dieOfCPU ends this process when its CPU time is over: a Go program is not
// ended by the signal itself.
func dieOfCPU() {
	over := make(chan os.Signal, 1)
	signal.Notify(over, unix.SIGXCPU)
	<-over
	fmt.Fprintln(os.Stderr, saidOfCPU)
	_ = unix.Kill(os.Getpid(), unix.SIGKILL) // libhdf5 may be anywhere
}

const saidOfCPU = "the CPU time is over"
