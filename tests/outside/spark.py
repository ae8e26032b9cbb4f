"""The job for Spark on a real cluster: a master and two workers, each a process of its own on loopback, from a pip-installed PySpark.

usage: spark.py run|kill-worker|failing-unit --job JOB.py --ctverify PATH --plan manifest.json --keep FOLDER [--seconds LIMIT] [--expect TEXT]

To be run with the Python that has PySpark. The results are in FOLDER/results, the records in FOLDER/parquet, the events in FOLDER/events. AWS_* is handed to the job
alone, not to the workers. Prints one line of JSON with what was measured.
"""

import argparse
import contextlib
import ctypes
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pyspark

HOME = pathlib.Path(pyspark.__file__).parent
JAVA = str(pathlib.Path(os.environ["JAVA_HOME"]) / "bin/java") if "JAVA_HOME" in os.environ else "java"
# Most of the time here is the start of six JVMs, which none of the later compilers makes up for.
QUICK = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]


def in_session(leader):
    """The processes of a session, by id, with their command lines."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            # A process may end while it is looked at.
            with contextlib.suppress(OSError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == leader and state != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    return found


def wait_until(what, seconds, condition):
    until = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return result


class Cluster:
    """A master and its workers, which end with this object, or with this program."""

    def __init__(self, folder, workers=2):
        self.folder, self.processes = folder, {}
        (folder / "local").mkdir()
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_", "AWS_", "CTVERIFY_"))
        } | {
            "SPARK_HOME": str(HOME),
            # bin/spark-class would set it. Without it, a worker takes SPARK_HOME for a source tree, and starts no executor.
            "SPARK_SCALA_VERSION": re.search(r"scala-library-(\d+\.\d+)", " ".join(os.listdir(HOME / "jars")))[1],
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
            "SPARK_PUBLIC_DNS": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(folder / "local"),
            "TMPDIR": str(folder / "local"),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
        }
        # Killed JVMs leave their temporary files behind.
        self.java_options = [*QUICK, f"-Djava.io.tmpdir={folder / 'local'}"]
        self.workers = [f"worker-{number}" for number in range(workers)]

    def __enter__(self):
        try:
            host = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
            self.jvm("master", "master.Master", *host)
            self.url = self.wait_for_line("master", r"Starting Spark master at (spark://127\.0\.0\.1:\d+)")
            for worker in self.workers:
                self.jvm(worker, "worker.Worker", *host, "--cores", "1", "--memory", "1g", "--work-dir", self.folder / worker, self.url)
            for worker in self.workers:
                self.wait_for_line(worker, "Successfully registered with (master)")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in list(self.processes):
            self.end(name)

    def jvm(self, name, role, *arguments):
        command = [JAVA, "-Xmx128m", *self.java_options, "-cp", f"{HOME}/jars/*", f"org.apache.spark.deploy.{role}", *arguments]
        self.start(name, command, self.environment)

    def start(self, name, command, environment):
        def end_with_this_program():
            pr_set_pdeathsig = 1
            ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)

        with open(self.folder / f"{name}.out", "wb") as out, open(self.folder / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                start_new_session=True, preexec_fn=end_with_this_program,
            )

    def end(self, name):
        """Ends a process, and whatever it started: all of that is in its session."""
        process = self.processes.pop(name)

        def killed():
            left = in_session(process.pid)
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not left

        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        wait_until(f"{name} has ended", 20, killed)

    def wait_for_line(self, name, pattern):
        def look():
            found = re.search(pattern, self.text(f"{name}.log"))
            assert found or self.processes[name].poll() is None, f"{name} ended:\n{self.text(f'{name}.log')[-3000:]}"
            return found

        return wait_until(f"{name}: {pattern}", 60, look)[1]

    def text(self, name):
        return (self.folder / name).read_text(errors="replace")

    def submit(self, job, arguments, environment, conf):
        """Starts spark-submit, as a user would."""
        conf = {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.extraJavaOptions": " ".join(self.java_options),
            "spark.executor.extraJavaOptions": " ".join(self.java_options),
            "spark.executor.cores": "1",
            "spark.executor.memory": "512m",
            "spark.sql.shuffle.partitions": "2",
            "spark.ui.enabled": "false",
            "spark.eventLog.enabled": "false",
            **conf,
        }
        settings = [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]
        command = [HOME / "bin/spark-submit", "--master", self.url, "--deploy-mode", "client", "--driver-memory", "512m", *settings]
        self.start("submit", [*command, *arguments[0], job, *arguments[1]], self.environment | environment)
        return self.processes["submit"]

    def kill(self, worker):
        """Kills the JVMs of a worker, its own and its executor's, as a lost machine would end them."""
        leader = self.processes[worker].pid
        jvms = [pid for pid, command in in_session(leader).items() if "org.apache.spark." in command]
        assert len(jvms) == 2, f"not a worker and its executor: {in_session(leader)}"
        for pid in jvms:
            os.kill(pid, signal.SIGKILL)
        self.processes[worker].wait()
        # The Python workers of the job, and ctverify, end without being told to.
        wait_until(f"nothing is left of {worker}: {in_session(leader)}", 20, lambda: not in_session(leader))
        self.processes.pop(worker)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=["run", "kill-worker", "failing-unit"])
    parser.add_argument("--job", type=pathlib.Path, required=True)
    parser.add_argument("--ctverify", type=pathlib.Path, required=True)
    parser.add_argument("--plan", type=pathlib.Path, required=True)
    parser.add_argument("--expect", help="a text in the message of the failing unit")
    parser.add_argument("--seconds", type=int, default=240, help="the time limit of all")
    parser.add_argument("--keep", type=pathlib.Path, required=True, help="the folder of results/, parquet/ and all output")
    options = parser.parse_args()

    def stop(number, _):
        # Raised here, so that what was started is ended on the way out.
        raise SystemExit(f"stopped by {signal.Signals(number).name}")

    for number in [signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]:
        signal.signal(number, stop)
    signal.alarm(options.seconds)

    folder = options.keep.resolve()
    folder.mkdir(exist_ok=True)
    scenario(options, folder)


def scenario(options, folder):
    handed = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    program, plan = options.ctverify.resolve(), options.plan.resolve()
    results, parquet = folder / "results", folder / "parquet"
    results.mkdir(exist_ok=True)
    units = [json.loads(line)["unit"] for line in (plan.parent / "units.jsonl").read_text().splitlines()]
    written = lambda: [path for path in results.rglob("*") if path.is_file() and not path.name.startswith(".")]
    attempts = 2 if options.scenario == "failing-unit" else 4

    begun = time.monotonic()
    with Cluster(folder) as cluster:
        ready = time.monotonic()
        arguments = ["--plan", plan, "--results", results, "--parquet", parquet.as_uri(), "--binary", program.name]
        arguments += ["--events-parquet", folder / "events"]
        conf = {"spark.task.maxFailures": str(attempts)}
        submit = cluster.submit(options.job.resolve(), (["--files", program], arguments), handed, conf)
        killed_at = None
        if options.scenario == "kill-worker":

            def busy():
                assert submit.poll() is None, cluster.text("submit.out")[-3000:] + cluster.text("submit.log")[-3000:]
                commands = {worker: in_session(cluster.processes[worker].pid).values() for worker in cluster.workers}
                running = [worker for worker in cluster.workers if any(" shard " in command for command in commands[worker])]
                return len(written()) >= max(2, len(units) // 4) and running

            worker = wait_until("a quarter of the units is done, and another one runs", 120, busy)[0]
            killed_at = len(written())
            cluster.kill(worker)
        code = submit.wait()
        done = time.monotonic()
        out, log = cluster.text("submit.out"), cluster.text("submit.log")

    said = out[-3000:] + log[-3000:]
    if options.scenario == "failing-unit":
        # Spark has Python's standard error go where its standard output goes.
        assert code == 1 and options.expect in out, (code, options.expect, said)
        # No file of records was committed.
        assert not list(parquet.glob("*.parquet")) and not (parquet / "_SUCCESS").exists()
    else:
        assert code == 0, (code, said)
        summary = json.loads(out.splitlines()[-1])
        assert summary["units"] == summary["verified"] == len(units) == len(written()), (summary, len(written()))
        assert not summary["missing"] and not summary["repeated"] and not summary["unplanned"], summary
        assert (options.scenario == "kill-worker") == ("Lost executor" in log), said
    if killed_at is not None:
        assert killed_at < len(units), "everything was done before the worker was killed"
    # The keys of the job are in no output, nor in what is left of the cluster.
    secret = handed["AWS_SECRET_ACCESS_KEY"].encode()
    texts = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".jar", ".py"} and path.name != program.name]
    assert not [path for path in texts if secret in path.read_bytes()], "a secret in an output"
    figures = {"cluster": ready - begun, "job": done - ready, "end": time.monotonic() - done}
    measured = {"scenario": options.scenario, "spark": pyspark.__version__, "units": len(units), "killed_at": killed_at}
    print(json.dumps(measured | {f"{name}_seconds": round(seconds, 1) for name, seconds in figures.items()}))


if __name__ == "__main__":
    main()
