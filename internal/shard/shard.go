// Package shard reads and writes shards: the HDF5 files in which workers hand
// their rows to the merger.
//
// A shard holds the rows of one batch of tasks, in ascending order of the
// tasks: one root dataset for each column, contiguous, uncompressed, of fixed
// size, and the run's digest as an attribute of the file. After all that is
// HDF5's, where no HDF5 library looks, comes the digest of each row. Equal rows
// give equal bytes: there is no time, host or worker in it.
//
// A worker brings a shard to disk in steps, between each of which it may die:
//
//	Write     create the file, write the rows, close; nothing is durable yet
//	Sync      the bytes are on the disk
//	Validate  a fresh open finds the rows that were computed, and where they lie
//	Announce  what the worker says of it: its SHA-256, and that of all bytes
//	          but the columns
//
// A merger calls Open, which compares those bytes, and Merge, which reads the
// rows of several shards and compares each with its digest. So every byte that
// is used is the announced one, and is read once. The merger does not open
// shards with the HDF5 library, which crashes on damaged files and accepts some
// with wrong rows.
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

const (
	maxMetadata = 8 << 20 // what a shard holds beside its rows and their digests, at most
	digestBytes = 8       // of a row's digest, little-endian
	taskBytes   = 8       // of a row in the column of the tasks
)

// MaxRows returns the number of rows that fit in a shard, at least 1.
func MaxRows(columns table.Columns) int {
	return max(1, (MaxBytes-maxMetadata)/(columns.RowBytes()+digestBytes))
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
