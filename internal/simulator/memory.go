package simulator

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// watchInterval is the time between two looks at the memory of a program.
const watchInterval = 100 * time.Millisecond

// watchMemory kills the program when it and its children use more than limit
// bytes. The kernel has no limit on this for a process; one on its addresses
// would refuse programs that map much and use little.
func (c *child) watchMemory(limit int64) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-c.exited:
			return
		case <-ticker.C:
		}
		if used := residentBytes(c.pid); used > limit {
			c.debug.Debug("simulator uses too much memory", slog.Int("pid", c.pid), slog.Int64("bytes", used))
			c.mu.Lock()
			c.tooBig = true
			c.mu.Unlock()
			c.signal(syscall.SIGKILL)
			return
		}
	}
}

// residentBytes returns the memory that a process and its descendants use; of
// one that is gone, nothing.
func residentBytes(pid int) int64 {
	dir := "/proc/" + strconv.Itoa(pid)
	data, err := os.ReadFile(dir + "/statm")
	if err != nil {
		return 0
	}
	var total int64
	if fields := strings.Fields(string(data)); len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64) // the kernel writes numbers
		total = pages * int64(os.Getpagesize())
	}
	lists, _ := filepath.Glob(dir + "/task/*/children") // the pattern is good
	for _, list := range lists {
		children, _ := os.ReadFile(list) // a thread that has just ended has none
		for field := range bytes.FieldsSeq(children) {
			if child, err := strconv.Atoi(string(field)); err == nil {
				total += residentBytes(child)
			}
		}
	}
	return total
}

// oomWatch tells whether the kernel has killed processes of this machine for
// want of memory: a process that is killed does not learn why.
type oomWatch struct{ seen int64 }

func newOOMWatch() *oomWatch { return &oomWatch{oomKills()} }

// again tells whether it has happened since it was asked last.
func (w *oomWatch) again() bool {
	before := w.seen
	w.seen = oomKills()
	return w.seen > before
}

// oomKills returns how many processes the kernel has killed so since it was
// started, those of a container at its limit included. Kernels before 4.13 do
// not tell.
func oomKills() int64 {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\noom_kill ")
	number, _, _ := strings.Cut(rest, "\n")
	n, _ := strconv.ParseInt(number, 10, 64) // the kernel writes numbers, or nothing
	return n
}

// showBytes returns a size for people.
func showBytes(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
