"""Verifies the units of a plan on a Spark cluster, for PySpark 3.5 and 4 with Python 3.9 or newer.

    spark-submit --files ctverify ctverify_spark.py \
        --plan plan/manifest.json --results s3://BUCKET/PREFIX --parquet PATH

Each unit is verified by `ctverify shard` in one task. Its result file goes to --results, where
`ctverify merge` finds it. Its records go to --parquet, one row a record. They are provisional: what
depends on the whole, such as the links between the digests of two units, is judged by the merge.

The last line on standard output is a summary in JSON. Exit codes: 0 if each unit of the plan is in
--parquet exactly once, also if findings were made; 1 if not, or if a unit failed; 2 if the command
line or the plan is wrong.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from typing import IO, Any, Callable, Generator, Iterable, Iterator, Mapping, Optional

import pyarrow as pa
from pyspark import SparkFiles
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

PLAN_FILES = ("manifest.json", "units.jsonl", "chains.jsonl")

# The columns of the Parquet files: each is the first of these fields that the record has. Times
# stay RFC 3339 texts in UTC, which sort by time and do not depend on the session's time zone.
FIELDS: dict[str, tuple[str, ...]] = {
    "record": ("record",),
    "status": ("status",),
    "cause": ("cause",),
    "account": ("account",),
    "region": ("region",),
    "trail": ("trail",),
    "bucket": ("bucket",),
    "key": ("key",),
    "digest": ("digest",),
    "fault": ("fault",),
    "detail": ("detail",),
    "start": ("start", "from"),
    "end": ("end", "to"),
}
COLUMNS = pa.schema(
    [("unit", pa.int32()), *((name, pa.string()) for name in FIELDS), ("json", pa.string())]
)
SPARK_COLUMNS = "unit int, " + ", ".join(f"`{name}` string" for name in [*FIELDS, "json"])

# A batch ends at whichever comes first, so that a task's memory does not grow with its unit.
BATCH_RECORDS = 4096
BATCH_BYTES = 4 << 20

# Variables of the driver that name something on the driver's machine, where a worker has its own or
# nothing.
NOT_FORWARDED = re.compile(
    "AWS_(CONTAINER_.*|WEB_IDENTITY_.*|ROLE_.*|PROFILE|DEFAULT_PROFILE|CONFIG_FILE|CA_BUNDLE"
    "|SHARED_CREDENTIALS_FILE|EXECUTION_ENV|LAMBDA_.*)"
)
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


# ---- On the workers ------------------------------------------------------------------------------


def unit_runner(
    binary: str, plan: str, places: Iterable[str], forwarded: Mapping[str, str]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Returns the function that Spark calls in each task, with the task's lines of units.jsonl.

    What it needs of the driver's environment travels in this function and not in
    spark.executorEnv: the web interface and the event log show that to everyone.
    """

    def run_units(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        environment = dict(os.environ)
        if "AWS_ACCESS_KEY_ID" in forwarded:
            # Credentials only work together: no token of the worker's beside a key of the driver's.
            for name in CREDENTIALS:
                environment.pop(name, None)
        environment.update(forwarded)
        manifest = os.path.join(os.path.abspath(SparkFiles.get(plan)), "manifest.json")
        command = [find_binary(binary), "shard", "--plan", manifest, "--stdin", *places]
        for batch in batches:
            for line in batch.column(0).to_pylist():
                yield from run_unit(command, environment, line)

    return run_units


def run_unit(
    command: list[str], environment: Mapping[str, str], line: str
) -> Iterator[pa.RecordBatch]:
    """Verifies one unit, and yields its records while they come.

    Everything that is not a complete result raises, so that Spark drops what came of this attempt
    and makes another one. An attempt can be repeated, or run twice at once by speculation, because
    `ctverify shard` replaces its result file at once or not at all. Events are in files of the unit's
    own, and of one result of it: an attempt that comes to another result is refused.
    """
    unit = json.loads(line)["unit"]
    # Both are files because pipes would have to be served at the same time as standard output.
    with tempfile.TemporaryFile() as question, tempfile.TemporaryFile() as complaint:
        question.write(line.encode() + b"\n")
        question.seek(0)
        try:
            process = subprocess.Popen(
                command,
                stdin=question,
                stdout=subprocess.PIPE,
                stderr=complaint,
                env=environment,
                preexec_fn=end_with_parent,
            )
        except OSError as error:
            raise RuntimeError(f"unit {unit}: {command[0]} could not be started: {error}") from None
        assert process.stdout is not None
        try:
            problem = yield from read_records(unit, process.stdout)
            process.stdout.close()
            code = process.wait()
        finally:
            # Spark closes this generator when it needs no more of it.
            process.kill()
            process.wait()
        if code != 0:
            ended = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
            problem = f"ctverify shard {ended}: {last_lines(complaint, environment)}"
        if problem:
            raise RuntimeError(f"unit {unit}: {problem}")


def read_records(unit: int, output: IO[bytes]) -> Generator[pa.RecordBatch, None, Optional[str]]:
    """Yields the records of a unit in batches. Returns what is wrong with them, if anything is."""
    lines: list[str] = []
    records: list[dict[str, Any]] = []
    count = size = 0
    closing: Optional[dict[str, Any]] = None
    problem = None
    for encoded in output:
        try:
            line = encoded.decode().rstrip("\n")
            record = json.loads(line)
            kind = record["record"]
        except (ValueError, TypeError, KeyError):
            problem = f"line {count + 1} of the output is not a record"
            break
        if closing is not None:
            problem = "a record follows the closing line"
            break
        if kind == "unit":
            closing = record
        else:
            count += 1
        lines.append(line)
        records.append(record)
        size += len(encoded)
        if len(lines) >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield to_batch(unit, lines, records)
            lines, records, size = [], [], 0
    # ctverify ends when all of its output is taken. Its exit code may say why the output is wrong.
    while output.read(1 << 16):
        pass
    if lines:
        yield to_batch(unit, lines, records)
    if problem:
        return problem
    if closing is None:
        return f"the output ended after {count} records, without the closing line"
    if (closing.get("unit"), closing.get("records")) != (unit, count):
        return f"{count} records came, and then this closing line: {json.dumps(closing)}"
    return None


def to_batch(unit: int, lines: list[str], records: list[dict[str, Any]]) -> pa.RecordBatch:
    """Makes the rows of some records."""

    def column(fields: tuple[str, ...]) -> list[Optional[str]]:
        found = ([record.get(field) for field in fields] for record in records)
        return [next((text for text in texts if isinstance(text, str)), None) for texts in found]

    columns = [[unit] * len(lines), *map(column, FIELDS.values()), lines]
    arrays = [pa.array(values, kind.type) for values, kind in zip(columns, COLUMNS)]
    return pa.RecordBatch.from_arrays(arrays, schema=COLUMNS)


def last_lines(complaint: IO[bytes], environment: Mapping[str, str]) -> str:
    """Returns the end of what was written to standard error, in one line for Spark's messages."""
    end = complaint.seek(0, os.SEEK_END)
    complaint.seek(max(0, end - (1 << 16)))
    text = complaint.read().decode(errors="replace")
    # Before anything is cut, so that no part of a secret stays.
    for name in CREDENTIALS[1:]:
        if environment.get(name):
            text = text.replace(environment[name], "***")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return " | ".join(lines[-10:])[-4000:] or "nothing on standard error"


def find_binary(name: str) -> str:
    """Finds ctverify on a worker: at the path given, among the files shipped, or in PATH."""
    base = os.path.basename(name)
    paths = [name] if os.sep in name else []
    for path in [*paths, SparkFiles.get(base), base]:
        if os.path.isfile(path):
            path = os.path.abspath(path)
            return path if os.access(path, os.X_OK) else executable_copy(path)
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"--binary {name}: not on this worker; ship it with --files {name}")
    return found


def executable_copy(path: str) -> str:
    """Copies a program that lost its permission to run, as it does in an object store."""
    state = os.stat(path)
    folder = os.path.abspath(SparkFiles.getRootDirectory())
    copy = os.path.join(folder, f"executable-{state.st_size}-{state.st_mtime_ns}")
    if not os.path.exists(copy):
        handle, draft = tempfile.mkstemp(dir=folder)
        os.close(handle)
        shutil.copyfile(path, draft)
        os.chmod(draft, 0o700)
        # Other tasks of this executor see the whole program or none.
        os.replace(draft, copy)
    return copy


def end_with_parent() -> None:
    """Has Linux end ctverify when its task's Python is killed, which happens without a signal."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


# ---- On the driver -------------------------------------------------------------------------------


def read_plan(spark: SparkSession, manifest: str) -> dict[str, bytes]:
    """Reads the files of the plan from the driver's disk, or from where Spark can read."""
    if os.path.isdir(manifest):
        manifest = os.path.join(manifest, "manifest.json")
    folder = os.path.dirname(manifest)
    paths = {name: os.path.join(folder, name) for name in PLAN_FILES}
    paths["manifest.json"] = manifest
    if is_url(manifest):
        reader = spark.read.format("binaryFile")
        return {name: reader.load(path).collect()[0]["content"] for name, path in paths.items()}
    files = {}
    for name, path in paths.items():
        with open(path, "rb") as file:
            files[name] = file.read()
    return files


def ship_plan(spark: SparkSession, files: Mapping[str, bytes]) -> str:
    """Brings the plan to the workers, and returns the name of its folder there.

    The name has a hash because a long-lived session, such as a notebook, may run several plans, and
    Spark refuses another content under a name that it has shipped before.
    """
    content = hashlib.sha256(b"".join(files[name] for name in PLAN_FILES)).hexdigest()
    folder = f"ctverify-plan-{content[:16]}"
    # Executors that start later fetch it too, so it stays as long as the session.
    archive = os.path.join(SparkFiles.getRootDirectory(), folder + ".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as draft:
        for name, data in files.items():
            draft.writestr(name, data)
    spark.sparkContext.addArchive(f"{archive}#{folder}")
    return folder


def environment_to_forward(environment: Mapping[str, str]) -> dict[str, str]:
    """Chooses what the workers get of the driver's environment.

    Nothing of CTVERIFY_*: the plan has the settings, and a flag of `shard` that a variable sets
    would be none that this job expects.
    """
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("AWS_") and not NOT_FORWARDED.fullmatch(name)
    }


def summarize(spark: SparkSession, parquet: str, planned: list[int]) -> dict[str, Any]:
    """Reads back what was committed, and compares it with the plan."""
    kinds = (
        spark.read.parquet(parquet)
        .groupBy("unit", "record", F.coalesce("status", "cause").alias("status"))
        .agg(F.count("*").alias("rows"))
        .collect()
    )
    closed = Counter({row["unit"]: row["rows"] for row in kinds if row["record"] == "unit"})
    records: dict[str, Any] = {}
    for row in kinds:
        if row["record"] != "unit":
            of_kind = records.setdefault(row["record"], Counter())
            of_kind[row["status"] or "all"] += row["rows"]
    return {
        "units": len(planned),
        "verified": len(closed),
        "missing": sorted(set(planned) - set(closed)),
        "repeated": sorted(unit for unit, rows in closed.items() if rows > 1),
        "unplanned": sorted(set(closed) - set(planned)),
        "records": records,
        "parquet": parquet,
    }


def say(message: str) -> None:
    print(f"ctverify_spark: {message}", file=sys.stderr, flush=True)


def is_url(path: str) -> bool:
    return re.match("[A-Za-z][A-Za-z0-9+.-]+:", path) is not None


def whole_place(place: str) -> str:
    return place if is_url(place) else os.path.abspath(place)


def parse(arguments: list[str]) -> argparse.Namespace:
    def positive(text: str) -> int:
        if int(text) < 1:
            raise ValueError
        return int(text)

    parser = argparse.ArgumentParser(
        description="Verifies the units of a ctverify plan on a Spark cluster.", allow_abbrev=False
    )
    parser.add_argument(
        "--plan",
        required=True,
        metavar="PATH",
        help="manifest.json of the plan, with the plan's other files beside it: a path on the "
        "driver, or a URL that Spark can read",
    )
    parser.add_argument(
        "--results",
        required=True,
        metavar="DIR",
        help="where the result files go: s3://BUCKET/PREFIX, or a folder that all workers share",
    )
    parser.add_argument(
        "--parquet",
        required=True,
        metavar="PATH",
        help="where the records go, as a path of Spark's; what is there is replaced",
    )
    parser.add_argument(
        "--events-parquet",
        metavar="DIR",
        help="also write the events of intact log files: to s3://BUCKET/PREFIX, or a folder that "
        "all workers share",
    )
    parser.add_argument(
        "--binary",
        default="ctverify",
        metavar="NAME",
        help="the name of ctverify among the files shipped or in PATH, or its path on the workers; "
        "a URL that Spark can read is shipped to them [default: ctverify]",
    )
    parser.add_argument(
        "--units-per-task",
        type=positive,
        default=1,
        metavar="N",
        help="units that one task verifies one after the other [default: 1]",
    )
    if "--JOB_NAME" in arguments:
        # AWS Glue adds options of its own.
        return parser.parse_known_args(arguments)[0]
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    spark = SparkSession.builder.appName("ctverify").getOrCreate()
    try:
        try:
            files = read_plan(spark, options.plan)
            lines = [line for line in files["units.jsonl"].decode().split("\n") if line]
            planned = [json.loads(line)["unit"] for line in lines]
            if len(set(planned)) != len(planned):
                raise ValueError("a unit is there twice")
        except (OSError, ValueError, LookupError, TypeError, PySparkException) as error:
            say(f"the plan {options.plan} can't be used: {error}")
            return 2
        folder = ship_plan(spark, files)
        binary = options.binary
        if is_url(binary):
            spark.sparkContext.addFile(binary)
            binary = os.path.basename(binary)
        results = whole_place(options.results)
        places = ["--output", results]
        if options.events_parquet is not None:
            places += ["--events-parquet", whole_place(options.events_parquet)]
        for flag, place in (("--results", results), ("--events-parquet", places[-1])):
            if is_url(place) and not place.startswith("s3://"):
                say(f"{flag} {place} is neither a path nor s3://BUCKET/PREFIX")
                return 2
        forwarded = environment_to_forward(os.environ)

        tasks = -(-len(lines) // options.units_per_task)
        # An RDD, because the number of slices is exact here. A repartitioned DataFrame has some
        # partitions with several units and some with none.
        slices = spark.sparkContext.parallelize([(line,) for line in lines], max(tasks, 1))
        units = spark.createDataFrame(slices, "line string")
        records = units.mapInArrow(unit_runner(binary, folder, places, forwarded), SPARK_COLUMNS)
        try:
            # Not partitioned: each task would write a file for every kind of record. The statistics
            # in the files let readers skip what they do not ask for.
            records.write.mode("overwrite").parquet(options.parquet)
        except Exception as error:
            # Spark's message has several stack traces around the one that a task raised.
            found = re.search(r"RuntimeError: ((unit \d+|--binary .*): [^\n]*)", str(error))
            if found is None:
                raise
            say(found[1])
            return 1
        summary = summarize(spark, options.parquet, planned)
        print(json.dumps({**summary, "results": results}), flush=True)
        complete = not (summary["missing"] or summary["repeated"] or summary["unplanned"])
        return 0 if complete else 1
    finally:
        # Databricks shares its session with others and ends it itself.
        if "DATABRICKS_RUNTIME_VERSION" not in os.environ:
            spark.stop()


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    if exit_code:
        sys.exit(exit_code)
