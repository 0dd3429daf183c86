#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sh compare.sh SUPERVISE DIFFERENTIAL CALLS [SEED]
#
# On a kernel with clone2: makes the same random calls natively and under the supervisor. Every line
# that differs is a failure. Ends with "N passed, N failed, N skipped", counted in calls.
set -u
supervise=$1
differential=$2
calls=$3
seed=${4:-$(od -An -N 4 -t u4 /dev/urandom | tr -d ' ')}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo "seed $seed"
"$differential" -s "$seed" -c "$calls" >"$folder/kernel" || echo "natively: exit status $?"
"$supervise" --provider=supervisor -- "$differential" -s "$seed" -c "$calls" \
    >"$folder/supervisor" || echo "supervised: exit status $?"
total=$(wc -l <"$folder/kernel")
diff "$folder/kernel" "$folder/supervisor" | grep '^[<>]' | head -n 200
differing=$(diff "$folder/kernel" "$folder/supervisor" | grep -c '^<')
extra=$(diff "$folder/kernel" "$folder/supervisor" | grep -c '^>')
[ "$extra" -le "$differing" ] || differing=$extra
[ "$total" -ge "$calls" ] || differing=$((differing + calls - total))
echo "results: $(sed 's/.* = \([^ ]*\).*/\1/' "$folder/kernel" | sort | uniq -c | sort -rn | tr -s ' \n' ' ')"
echo "$((total - differing)) passed, $differing failed, 0 skipped"
[ "$differing" = 0 ]
