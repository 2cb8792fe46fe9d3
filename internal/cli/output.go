package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"windrow/internal/shard"
	"windrow/merger"
)

// guardOutput makes sure that nothing but a dataset of the runs called name
// would be replaced at output. Such a dataset is known by its record beside it;
// where there is a checkpoint, a merger is at work on it already.
func guardOutput(output, name string) error {
	if _, err := os.Lstat(output); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(output + ".rows"); err == nil {
		return nil
	}
	sum, _, err := shard.Hash(output)
	if err != nil {
		return fmt.Errorf("read what is at %s: %w", output, err)
	}
	var record merger.Record
	text, err := os.ReadFile(output + ".run.json")
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err == nil && record.SHA256 == sum && len(record.Run) > 9 && record.Run.Name() == name {
		return nil
	}
	return fmt.Errorf("%s exists, and is not known as a dataset of %q: move it away, or change output.file", output, name)
}
