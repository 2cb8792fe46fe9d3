package chaos

import (
	"fmt"
	"slices"

	"github.com/prometheus/procfs"
)

// process is one of the run's.
type process struct {
	pid  int
	name string
}

// family are the processes of a run.
type family struct {
	roles      []process // workers and merger
	simulators []process // children of the workers
}

// processesBelow returns the living processes of the run whose first is root.
func processesBelow(root int) (family, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return family{}, fmt.Errorf("list processes: %w", err)
	}
	slices.SortFunc(all, func(a, b procfs.Proc) int { return a.PID - b.PID })
	var below family
	children := map[int][]procfs.Proc{}
	for _, p := range all {
		if stat, err := p.Stat(); err == nil && stat.State != "Z" { // it may have ended since
			children[stat.PPID] = append(children[stat.PPID], p)
		}
	}
	for _, p := range children[root] {
		args, err := p.CmdLine()
		if err != nil || len(args) < 2 || args[1] != "worker" && args[1] != "merger" {
			continue
		}
		below.roles = append(below.roles, process{p.PID, args[1]})
		if args[1] != "worker" {
			continue
		}
		for _, child := range children[p.PID] {
			below.simulators = append(below.simulators, process{child.PID, "simulator"})
		}
	}
	return below, nil
}
