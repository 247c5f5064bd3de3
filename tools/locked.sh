#!/bin/sh
# locked.sh PROGRAM ARGUMENTS: runs a program of the project's own environment, in its locked version, on any system.
for programs in .venv/bin .venv/Scripts; do
  if [ -d "$programs" ]; then
    program=$1
    shift
    exec "$programs/$program" "$@"
  fi
done
echo "there is no environment in .venv yet: make book" >&2
exit 1
