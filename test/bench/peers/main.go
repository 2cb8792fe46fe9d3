// Command peers runs n tasks that do nothing through river on PostgreSQL, or
// through asynq on Redis, from the first insertion until the last task is
// recorded as done. test/bench/queues.sh measures it beside windrow.
//
//	peers river postgres://... N
//	peers asynq HOST:PORT N
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
)

// concurrency is how many tasks a process works at, at the same time.
const concurrency = 1000

// key is what identifies a task, as it does in windrow's spec.
type key struct {
	A int `json:"a"`
	B int `json:"b"`
}

func keyOf(i int) key { return key{i / 1000, i % 1000} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	peers := map[string]func(context.Context, string, int) error{"river": runRiver, "asynq": runAsynq}
	if len(args) != 3 || peers[args[0]] == nil {
		return fmt.Errorf("usage: peers river|asynq ADDRESS N")
	}
	n, err := strconv.Atoi(args[2])
	if err != nil || n < 1 {
		return fmt.Errorf("%q is not a number of tasks", args[2])
	}
	return peers[args[0]](ctx, args[1], n)
}
