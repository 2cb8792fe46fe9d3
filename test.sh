#!/usr/bin/env bash
# Runs windrow's tests, crash points included, and closes with go test's summary and exit code:
#
#   bash test.sh [flags of go test]         for example -run Resume -count=3
#   WINDROW_CHAOS=1 bash test.sh            the long kill schedules too
#
# The first time it installs what is missing to build windrow, and the HDF5 readers that the tests compare it with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. scripts/setup.sh

require_go
ensure build_packages test_packages

# Simulators of the tests are Python, started hundreds of times: not by a version manager's shim, which takes far longer.
# The directory of Python may have another go, too old for windrow: the one that was looked at stays.
go=$(command -v go)
python=$(python3 -c 'import sys; print(sys.executable)')
export PATH=${python%/*}:$PATH

# Most of the tests of processes wait, for a lease to run out or a process to start: they begin first, and the others run beside them.
exec "$go" test -tags faults -timeout 30m -parallel "$((2 * $(nproc)))" ./test ./... "$@"
