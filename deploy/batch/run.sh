#!/usr/bin/env bash
# Verifies a trail with AWS Batch, in three steps: a plan, an array of shards, and a merge. Needs the AWS CLI and what ./batch.yaml or ./batch.tf
# makes, with StateBucket and StatePrefix as s3://BUCKET/PREFIX.
#
#   run.sh [-s START] [-e END] [-u UNITS] [-n NAME] [-l TRAIL-ARN] s3://BUCKET/PREFIX
#   run.sh -r RUN [-u UNITS] [-n NAME] s3://BUCKET/PREFIX
#
#   -s START      verify from here on: a time, or an age [default: 365d]
#   -e END        verify up to here [default: now]
#   -u UNITS      units that each child of the array verifies [default: 1, or as many as make 10,000 children]
#   -n NAME       the name of the queue, and what the names of the job definitions begin with [default: ctverify]
#   -l TRAIL-ARN  make the plan here, with the ctverify on the PATH
#   -r RUN        go on with a run whose plan is made; only results that are missing are made
#
# Prints where the reports are. The exit code is the merge's: 0 verified, 1 violated, 3 inconclusive; or 2 if a command line or the plan is wrong,
# or 4 if a step failed. A run whose shards failed can be gone on with.
set -euo pipefail
export AWS_PAGER=""

most=10000 # children of an array
poll="${CTVERIFY_POLL_SECONDS:-30}"

usage() {
  sed -n '5,6s/^# *//p' "$0" >&2
  exit 2
}

say() { printf '%s\n' "$*" >&2; }

name=ctverify start=365d end="" each="" arn="" run=""
while getopts s:e:u:n:l:r: flag; do
  case "$flag" in
    s) start="$OPTARG" ;;
    e) end="$OPTARG" ;;
    u) each="$OPTARG" ;;
    n) name="$OPTARG" ;;
    l) arn="$OPTARG" ;;
    r) run="$OPTARG" ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# = 1 ] || usage
state="${1%/}"
# These become parts of JSON.
[[ "$state" =~ ^s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9._/-]+)?$ ]] || usage
[[ "$start$end" =~ ^[A-Za-z0-9.:+-]+$ && "$name" =~ ^[A-Za-z0-9_-]+$ && "$run" =~ ^[A-Za-z0-9_-]*$ ]] || usage
[[ -z "$each" || "$each" =~ ^[1-9][0-9]{0,8}$ ]] || usage

# Submits a job of the given step with parameters, and further arguments of submit-job. Prints its ID.
submit() {
  local step="$1" parameters="$2"
  shift 2
  aws batch submit-job --job-queue "$name" --job-definition "$name-$step" --job-name "$name-$step-$run" \
    --parameters "$parameters" --query jobId --output text "$@"
}

# Prints one field of a job; None if it has none.
field() { aws batch describe-jobs --jobs "$1" --query "jobs[0].$2" --output text; }

# Waits until a job has ended, and returns whether it succeeded. Says how many children of an array are done whenever that changes.
await() {
  local status finished before=""
  while :; do
    # Submitted jobs go on without this script.
    status="$(field "$1" status)" || exit 4
    case "$status" in
      SUCCEEDED) return 0 ;;
      FAILED) return 1 ;;
      None)
        say "AWS Batch knows no job $1"
        exit 4
        ;;
    esac
    finished="$(field "$1" arrayProperties.statusSummary.SUCCEEDED)" || exit 4
    if [ "$finished" != None ] && [ "$finished" != "$before" ]; then
      say "$finished children of the array are done"
      before="$finished"
    fi
    sleep "$poll"
  done
}

# Says why a job failed, and ends with its exit code if that is one of ctverify's own; else with 4.
fail() {
  local code
  code="$(field "$1" container.exitCode)" || exit 4
  say "the $2 failed: $(field "$1" statusReason), exit code $code; log group /$name/batch, stream $(field "$1" container.logStreamName)"
  case "$code" in
    [1-3]) exit "$code" ;;
    *) exit 4 ;;
  esac
}

if [ -z "$run" ]; then
  run="$(date -u +%Y%m%dT%H%M%SZ)-$$"
  plan="$state/plans/$run"
  say "run $run: planning"
  if [ -n "$arn" ]; then
    # Its exit code is this script's, too.
    ctverify plan --trail-arn "$arn" --start "$start" ${end:+--end "$end"} --output "$plan" >&2
  else
    # A flag that may be left out can't be a parameter of a job; an empty variable counts as not set.
    job="$(submit plan "{\"start\": \"$start\", \"plan\": \"$plan\"}" \
      --container-overrides "{\"environment\": [{\"name\": \"CTVERIFY_END\", \"value\": \"$end\"}]}")" || exit 4
    await "$job" || fail "$job" plan
  fi
fi
plan="$state/plans/$run"
results="$state/results/$run"
# Reports are never overwritten, and a run may be merged again.
reports="$state/reports/$run/$(date -u +%Y%m%dT%H%M%SZ)"

# The size of an array is fixed when it is submitted.
units="$(aws s3 cp "$plan/units.jsonl" - | awk 'END { print NR }')" || exit 4
shards="" children=0 after="[]"
if [ "$units" -gt 0 ]; then
  least=$(((units + most - 1) / most))
  [ "${each:-0}" -ge "$least" ] || each="$least"
  children=$(((units + each - 1) / each))
  say "run $run: $units units, $each for each of $children children"
  # An array has two children or more. A single job is given the variable of another scheduler.
  if [ "$children" = 1 ]; then
    kind=(--container-overrides '{"environment": [{"name": "JOB_COMPLETION_INDEX", "value": "0"}]}')
  else
    kind=(--array-properties "size=$children")
  fi
  shards="$(submit shard "{\"plan\": \"$plan/manifest.json\", \"results\": \"$results\", \"each\": \"$each\"}" "${kind[@]}")" || exit 4
  after="[{\"jobId\": \"$shards\"}]"
fi
merge="$(submit merge "{\"plan\": \"$plan/manifest.json\", \"results\": \"$results\", \"text\": \"text=$reports/report.txt\", \
\"html\": \"html=$reports/report.html\"}" --depends-on "$after")" || exit 4
say "shards: job ${shards:-none}; merge: job $merge; both go on without this script"

if [ -n "$shards" ] && ! await "$shards"; then
  say "to go on with what is missing: $0 -r $run -n $name $state"
  [ "$children" -gt 1 ] || fail "$shards" shard
  failed="$(aws batch list-jobs --array-job-id "$shards" --job-status FAILED --no-paginate \
    --query 'jobSummaryList[:5].[arrayProperties.index, container.exitCode, statusReason]' --output text)" || exit 4
  say "children failed, among them these, with exit code and reason (log group /$name/batch):"
  say "$failed"
  # A wrong plan fails every time.
  ! grep -q $'^[0-9]*\t2\t' <<<"$failed" || exit 2
  exit 4
fi
code=0
if ! await "$merge"; then
  code="$(field "$merge" container.exitCode)" || exit 4
  # A verdict is no failure.
  [ "$code" = 1 ] || [ "$code" = 3 ] || fail "$merge" merge
fi
printf '%s\n' "$reports/report.txt" "$reports/report.html"
exit "$code"
