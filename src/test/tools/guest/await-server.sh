#!/bin/bash
# await-server.sh PORT COMMAND...: in the guest of nbd-kernel, runs a command when the server listens.
. "$(dirname "$0")/attach.sh"
port=$1
shift
await 90 "the server on port $port" listening "$port"
exec "$@"
