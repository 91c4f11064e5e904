# Functions for scripts in the guest of nbd-kernel that have commands run on the other side of its network, by `beside` in
# $directory. A script sources attach.sh and this file.

asked=0
answered=0
lines=()
expected=() # the exit status, by number, where it is not to be 0

# ask LINE...: of bash, which runs at once. Its number is in $asked.
ask() {
    asked=$((asked + 1))
    lines[asked]=$*
    echo "$*" >"$directory/new"
    mv "$directory/new" "$directory/run-$asked"
}

# answer: of the next line that was asked for and not waited for.
answer() {
    local line status
    answered=$((answered + 1))
    line=${lines[answered]}
    await 90 "the end of: $line" test -e "$directory/run-$answered.status"
    status=$(cat "$directory/run-$answered.status")
    [ "$status" = "${expected[answered]-0}" ] || fail "status $status of: $line: $(cat "$directory/run-$answered.out")"
}

# answers: of all.
answers() { while [ $answered -lt $asked ]; do answer; done; }
