// Package shard reads and writes shards: the HDF5 files in which workers hand
// their rows to the merger.
//
// A shard holds the rows of one batch of tasks, in ascending order of the
// tasks: one root dataset for each column, contiguous, uncompressed, of fixed
// size, and the run's digest as an attribute of the file. Equal rows give
// equal bytes: there is no time, host or worker in it.
//
// A worker brings a shard to disk in steps, between each of which it may die:
//
//	Write     create the file, write the rows, close; nothing is durable yet
//	Sync      the bytes are on the disk
//	Validate  a fresh open finds the rows that were produced
//	Hash      digest and size, which the worker announces
//
// A merger calls Read, which hashes the file and refuses bytes that are not those
// announced before the HDF5 library sees any of them: libhdf5 crashes on damaged
// files, and accepts some with wrong rows.
package shard

import (
	"fmt"

	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

// Version is the version of the shard format, the root attribute
// `windrow_shard`.
const Version = 1

// Names of the attributes of the file.
const (
	versionAttribute = "windrow_shard"
	runAttribute     = "run_digest"
)

// MaxBytes is the largest shard.
const MaxBytes = 1 << 30

// maxMetadata bounds what a shard holds beside its rows.
const maxMetadata = 8 << 20

// MaxRows returns the number of rows that fit in a shard, at least 1.
func MaxRows(columns table.Columns) int {
	return max(1, (MaxBytes-maxMetadata)/columns.RowBytes())
}

// checkOrigin tells whether the open file is a shard of the run with digest d.
func checkOrigin(f *h5.File, d message.Digest) error {
	version, err := f.Int(versionAttribute)
	if err != nil {
		return fmt.Errorf("not a shard: %w", err)
	}
	if version != Version {
		return fmt.Errorf("format %d; this windrow reads format %d", version, Version)
	}
	run, err := f.String(runAttribute)
	if err != nil {
		return err
	}
	if run != string(d) {
		return fmt.Errorf("run %s: %w", message.Cut(run, 64), message.ErrOtherRun)
	}
	return nil
}
