// Package chaos disturbs a local run from outside, as a machine at its worst
// would: it kills and stops the run's processes by signals, and damages the
// shards on their way from worker to merger. The run knows nothing of it.
package chaos

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Config says how much is disturbed. Rates are probabilities from 0 to 1, for
// each new shard.
type Config struct {
	entries []string // without the seed
	rates   map[kind]float64
	broker  int // how many times the whole run, with its broker, is killed

	// Seed is that of the choices; what they meet depends on the moment.
	Seed uint64
}

// Default is a storm that a campaign of a minute survives within two.
const Default = "kill=5%,truncate=2%,flip=1%,hang=1%,broker=3,stop=2%"

const maxBroker = 1000

// Parse reads a list such as Default, in which seed=N may stand as well. What
// it does not name does not happen. seed is for a list without one.
func Parse(list string, seed uint64) (Config, error) {
	c := Config{rates: map[kind]float64{}, Seed: seed}
	for entry := range strings.SplitSeq(list, ",") {
		name, value, _ := strings.Cut(entry, "=")
		var err error
		switch {
		case slices.Contains(kinds, kind(name)):
			c.rates[kind(name)], err = parseShare(value)
		case name == "broker":
			if c.broker, err = strconv.Atoi(value); err != nil || c.broker < 0 || c.broker > maxBroker {
				err = fmt.Errorf("a count from 0 to %d is wanted", maxBroker)
			}
		case name == "seed":
			if c.Seed, err = strconv.ParseUint(value, 10, 64); err != nil {
				err = errors.New("a whole number is wanted")
			}
		default:
			err = errors.New("kill, truncate, flip, hang, stop, broker and seed are known")
		}
		if err != nil {
			return Config{}, fmt.Errorf("%q: %w", entry, err)
		}
		if name != "seed" {
			c.entries = append(c.entries, entry)
		}
	}
	return c, nil
}

func parseShare(text string) (float64, error) {
	number, isPercent := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(number, 64)
	if isPercent {
		share /= 100
	}
	if err != nil || !(share >= 0 && share <= 1) { // NaN is neither
		return 0, errors.New("a share from 0 to 100% is wanted")
	}
	return share, nil
}

// String returns the list as it was read, with the seed.
func (c Config) String() string {
	return strings.Join(append(slices.Clone(c.entries), fmt.Sprintf("seed=%d", c.Seed)), ",")
}
