#!/usr/bin/env python3
"""Computes what the verification of an organization-year costs on many machines.

usage: organization_year.py [--json] [--estimate] [--engine NAME,…] [--workers N,…] [--prefixes N,…]
                            [--FLAG NUMBER …]
       organization_year.py --check

The three steps `plan`, `shard` and `merge` are priced from unit costs that were measured on one
machine, and from the public prices of AWS. Nothing here is measured on AWS. Every number is a flag;
`--help` names them all.

    requests     GET   one for each digest and log file, and a few for plans and results
                 LIST  pages of 1,000 keys; the plan lists what there is once, the shards once more
                 PUT   one for each result
    plan         the longest of CPU time, round trips of LISTs, and the request rate of the prefixes
    shards       the start of a worker, and the longest of
                 CPU          objects × CPU time, divided by the vCPUs
                 prefixes     (GETs + LISTs) of the shards ÷ (prefixes × 5,500 a second)
                 round trips  objects × round trip ÷ (workers × objects read at once)
    merge        the longest of CPU time on its cores, its serial part, and the transfer of results
    wall time    plan + shards + merge

Workers are paid from their start to the end of the shards, also while a prefix makes them wait. Plan
and merge run on one machine, which is paid as Fargate on demand with every engine. It is assumed
that objects are spread evenly over prefixes and units, that prefixes are partitions of their own in
S3, that objects are of the storage class S3 Standard, that the bucket is in the workers' region and
behind a gateway endpoint, and that log files take no request to KMS. Flags for the contrary:
--get-price, --nat-price, --kms-requests.
"""

import argparse
import json
import sys

HOUR = 3600.0
GIB = float(1 << 30)
ENGINES = {
    "emr": "EMR Serverless (Spark)",
    "fargate-spot": "AWS Batch, Fargate Spot",
    "fargate": "AWS Batch, Fargate on demand",
    "ec2-spot": "AWS Batch, EC2 Spot",
}
ITEMS = {
    "get": "GET",
    "list": "LIST",
    "put": "PUT",
    "storage": "storage",
    "workers": "workers",
    "driver": "driver",
    "machine": "plan, merge",
    "other": "other",
}

# The numbers, by group: flag, default, meaning. Prices are those of us-east-1, without tax, 2026.
NUMBERS = {
    "workload": [
        ("accounts", 1000, "accounts of the organization"),
        ("regions", 17, "regions of each account"),
        ("hours", 8760, "hourly digests of each account and region"),
        ("log-files", 420e6, "log files of all accounts and regions"),
        ("digest-bytes", 700, "mean size of a digest's object"),
        ("log-file-bytes", 3000, "mean size of a log file's object"),
        ("unit-objects", 250_000, "objects of a unit"),
        ("result-bytes", 450, "size of a result, for each object of its unit"),
        ("result-days", 7, "days for which results are kept"),
        ("page-keys", 1000, "keys on a page of a listing"),
        ("estimate-share", 1 / 30, "share of the log files that plan --estimate lists"),
        ("estimate-lists", 12, "least LISTs of log files for a chain with plan --estimate: one a month"),
        ("plan-lists", 2, "LISTs of the plan for each chain beyond full pages: folders, last pages"),
        ("shard-lists", 22, "LISTs of the shards for each chain beyond full pages: folders of years and "
                            "months (16), last pages of the blocks that are listed at once (6)"),
        ("repeated", 0, "share of the shards' work that is done twice, after interruptions"),
    ],
    "measured unit costs": [
        ("shard-us", 180, "user CPU time of a shard for each object, in µs, with 192 objects at once"),
        ("shard-system-us", 30, "system CPU time of a shard for each object, in µs"),
        ("vcpu-rate", 5500, "objects a second that one vCPU reads at most"),
        ("plan-us", 5, "CPU time of the plan for each object listed, in µs, on one core"),
        ("merge-us", 19, "CPU time of the merge for each object, in µs"),
        ("merge-wall-us", 12, "wall time of the merge for each object, in µs, on two cores"),
        ("merge-serial-us", 10, "serial part of the merge for each object, in µs"),
    ],
    "machines and network": [
        ("round-trip-ms", 20, "time of a GET, in ms"),
        ("list-ms", 100, "time of a LIST of a full page, in ms"),
        ("concurrency", 192, "objects that a worker reads, or listings that the plan makes, at once"),
        ("prefix-rate", 5500, "GETs and LISTs a second that S3 answers below one prefix"),
        ("worker-vcpu", 1, "vCPUs of a worker"),
        ("emr-worker-gb", 4, "memory of a worker on EMR Serverless, in GB"),
        ("fargate-worker-gb", 2, "memory of a worker on Fargate, in GB"),
        ("startup-seconds", 60, "time in which a worker starts, which is paid"),
        ("least-seconds", 60, "least time of a worker that is paid"),
        ("driver-vcpu", 4, "vCPUs of the Spark driver"),
        ("driver-gb", 16, "memory of the Spark driver, in GB"),
        ("machine-vcpu", 2, "vCPUs of the machine for plan and merge"),
        ("machine-gb", 16, "memory of the machine for plan and merge, in GB"),
        ("merge-mb-s", 100, "transfer of results into the merge, in MB a second"),
    ],
    "prices in USD (us-east-1, 2026)": [
        ("get-price", 0.0004, "1,000 GETs"),
        ("list-price", 0.005, "1,000 LISTs"),
        ("put-price", 0.005, "1,000 PUTs"),
        ("storage-price", 0.023, "a GB (2^30 bytes) and month (30 days) in S3 Standard"),
        ("emr-vcpu-price", 0.052624, "a vCPU-hour of EMR Serverless, x86"),
        ("emr-gb-price", 0.0057785, "a GB-hour of EMR Serverless, x86"),
        ("fargate-vcpu-price", 0.04048, "a vCPU-hour of Fargate, x86"),
        ("fargate-gb-price", 0.004445, "a GB-hour of Fargate, x86"),
        ("spot-discount", 0.7, "share by which Fargate Spot is cheaper; it varies"),
        ("ec2-spot-price", 0.017, "a vCPU-hour of EC2 Spot with its memory; it varies"),
        ("kms-requests", 0, "requests to KMS for each log file: 1 with SSE-KMS and no bucket key"),
        ("kms-price", 0.03, "10,000 requests to KMS"),
        ("nat-price", 0, "a GB through a NAT gateway: 0.045 without a gateway endpoint for S3"),
        ("logged-bytes", 0, "bytes in CloudWatch Logs for each object: 720 if shards print their records"),
        ("logs-price", 0.5, "a GB into CloudWatch Logs"),
        ("limit", 300, "the total that is to be kept below"),
    ],
}
# These divide, or are pointless without a value.
POSITIVE = {"accounts", "regions", "hours", "unit-objects", "page-keys", "vcpu-rate", "concurrency",
            "prefix-rate", "worker-vcpu", "machine-vcpu", "merge-mb-s"}


def main():
    args = arguments(sys.argv[1:])
    if args.check:
        check()
        return
    rows = all_rows(args)
    if args.json:
        print(json.dumps(report(args, rows), indent=2))
    else:
        print(markdown(args, rows))


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON in place of Markdown")
    parser.add_argument("--check", action="store_true", help="test the arithmetic, and print nothing else")
    parser.add_argument("--estimate", action="store_true", help="plan with --estimate: list few log files")
    parser.add_argument("--engine", type=engines, default="emr,fargate-spot,fargate",
                        help="engines, comma-separated: " + ", ".join(ENGINES))
    parser.add_argument("--workers", type=counts, default="10,100,1000", help="numbers of workers")
    parser.add_argument("--prefixes", type=counts, default="1,10,1000", help="numbers of prefixes")
    for title, numbers in NUMBERS.items():
        group = parser.add_argument_group(title)
        for name, default, meaning in numbers:
            kind = positive if name in POSITIVE else number
            group.add_argument("--" + name, type=kind, default=float(default), metavar="N", help=meaning)
    return parser.parse_args(argv)


def number(text):
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is below 0 or no number")
    return value


def positive(text):
    value = number(text)
    if value == 0:
        raise argparse.ArgumentTypeError("0 is too small")
    return value


def counts(text):
    values = [int(part) for part in text.split(",")]
    if min(values) < 1:
        raise argparse.ArgumentTypeError(f"{min(values)} is too small")
    return values


def engines(text):
    names = text.split(",")
    for name in names:
        if name not in ENGINES:
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(ENGINES)}")
    return names


def objects_of(args):
    """The numbers of chains, digests, log files, both together, and units."""
    chains = args.accounts * args.regions
    digests = chains * args.hours
    objects = digests + args.log_files
    return {
        "chains": chains,
        "digests": digests,
        "log_files": args.log_files,
        "objects": objects,
        "units": max(1, round_up(objects / args.unit_objects)),
    }


def round_up(value):
    return int(-(-value // 1))


def requests_of(args, workers):
    """The requests of each step."""
    of = objects_of(args)
    digest_pages = of["digests"] / args.page_keys
    log_file_pages = args.log_files / args.page_keys
    planned = log_file_pages
    if args.estimate:
        # A drawn day takes a LIST even if it has few log files.
        planned = max(log_file_pages * args.estimate_share, of["chains"] * args.estimate_lists)
    again = 1 + args.repeated
    return {
        # One for each object of the trail.
        "shard_get": of["objects"] * again,
        # A shard asks whether its result is there, and the merge reads each twice. A worker reads the
        # three files of the plan, and so does the merge.
        "result_get": 3 * of["units"] + 3 * (workers + 1),
        "plan_list": digest_pages + planned + of["chains"] * args.plan_lists,
        "shard_list": (digest_pages + log_file_pages + of["chains"] * args.shard_lists) * again,
        "merge_list": of["units"] / args.page_keys,
        "put": of["units"] + 3,
    }


def bounds_of(args, workers, prefixes):
    """The times that the shards take at least, in seconds."""
    requests = requests_of(args, workers)
    objects = requests["shard_get"]
    seconds = max((args.shard_us + args.shard_system_us) / 1e6, 1 / args.vcpu_rate)
    return {
        "CPU": objects * seconds / (workers * args.worker_vcpu),
        "prefixes": (objects + requests["shard_list"]) / (prefixes * args.prefix_rate),
        "round trips": objects * args.round_trip_ms / 1e3 / (workers * args.concurrency),
    }


def plan_seconds(args, prefixes):
    requests = requests_of(args, 1)
    listed = objects_of(args)["digests"] + args.log_files * (args.estimate_share if args.estimate else 1)
    return max(
        listed * args.plan_us / 1e6,
        requests["plan_list"] * args.list_ms / 1e3 / args.concurrency,
        requests["plan_list"] / (prefixes * args.prefix_rate),
    )


def merge_seconds(args):
    objects = objects_of(args)["objects"]
    # The time that two cores wait beyond their CPU time is waited by any number of cores.
    waiting = max(0, args.merge_wall_us - args.merge_us / 2)
    each = max(args.merge_serial_us, args.merge_us / args.machine_vcpu + waiting)
    return max(objects * each / 1e6, 2 * objects * args.result_bytes / 1e6 / args.merge_mb_s)


def hourly_price(args, engine):
    """The price of one worker for an hour, and of what it needs besides."""
    fargate = args.worker_vcpu * args.fargate_vcpu_price + args.fargate_worker_gb * args.fargate_gb_price
    if engine == "emr":
        worker = args.worker_vcpu * args.emr_vcpu_price + args.emr_worker_gb * args.emr_gb_price
        return worker, args.driver_vcpu * args.emr_vcpu_price + args.driver_gb * args.emr_gb_price
    if engine == "fargate-spot":
        return fargate * (1 - args.spot_discount), 0.0
    if engine == "fargate":
        return fargate, 0.0
    return args.worker_vcpu * args.ec2_spot_price, 0.0


def row_of(args, engine, workers, prefixes):
    """Time, requests and charges of one engine with these numbers of workers and prefixes."""
    of, steps = objects_of(args), requests_of(args, workers)
    bounds = bounds_of(args, workers, prefixes)
    plan, merge = plan_seconds(args, prefixes), merge_seconds(args)
    shards = args.startup_seconds + max(bounds.values())
    paid_hours = max(shards, args.least_seconds) / HOUR
    machine_hours = (plan + merge) / HOUR
    worker, driver = hourly_price(args, engine)
    machine = args.machine_vcpu * args.fargate_vcpu_price + args.machine_gb * args.fargate_gb_price
    requests = {
        "get": steps["shard_get"] + steps["result_get"],
        "list": steps["plan_list"] + steps["shard_list"] + steps["merge_list"],
        "put": steps["put"],
    }
    results = of["objects"] * args.result_bytes / GIB
    again = 1 + args.repeated
    read = (of["digests"] * args.digest_bytes + args.log_files * args.log_file_bytes) * again / 1e9
    usd = {
        "get": requests["get"] / 1e3 * args.get_price,
        "list": requests["list"] / 1e3 * args.list_price,
        "put": requests["put"] / 1e3 * args.put_price,
        "storage": results * args.result_days / 30 * args.storage_price,
        "workers": workers * paid_hours * worker,
        "driver": paid_hours * driver,
        "machine": machine_hours * machine,
        "other": args.log_files * again * args.kms_requests / 1e4 * args.kms_price
        + read * args.nat_price
        + of["objects"] * again * args.logged_bytes / 1e9 * args.logs_price,
    }
    total = sum(usd.values())
    driver_vcpu = args.driver_vcpu if engine == "emr" else 0
    return {
        "engine": engine,
        "workers": workers,
        "prefixes": prefixes,
        "seconds": {"plan": plan, "shards": shards, "merge": merge, "total": plan + shards + merge},
        "shard_bounds": bounds,
        "bound_by": max(bounds, key=bounds.get),
        "vcpu_hours": (workers * args.worker_vcpu + driver_vcpu) * paid_hours
        + machine_hours * args.machine_vcpu,
        "requests": {name: round(count) for name, count in requests.items()},
        "usd": usd,
        "total_usd": total,
        "below_limit": total < args.limit,
    }


def all_rows(args):
    return [
        row_of(args, engine, workers, prefixes)
        for engine in args.engine
        for workers in args.workers
        for prefixes in args.prefixes
    ]


def report(args, rows):
    numbers = {name: getattr(args, name.replace("-", "_")) for group in NUMBERS.values() for name, _, _ in group}
    return {
        "workload": objects_of(args),
        "estimate": args.estimate,
        "limit_usd": args.limit,
        "below_limit": sum(row["below_limit"] for row in rows),
        "rows": rows,
        "numbers": numbers,
    }


def markdown(args, rows):
    of = objects_of(args)
    lines = [
        f"{of['objects'] / 1e6:,.1f} million objects ({of['digests'] / 1e6:,.1f} million digests and "
        f"{of['log_files'] / 1e6:,.1f} million log files of {of['chains']:,.0f} chains) in {of['units']:,} units; "
        f"the plan {'lists a share of the' if args.estimate else 'lists all'} log files.",
    ]
    heads = ["workers", "prefixes", "plan", "shards", "bound by", "merge", "wall time", "vCPU h", "GET", "LIST", "PUT"]
    heads += [f"{title} USD" for title in ITEMS.values()] + ["total USD", f"below {args.limit:,.0f}"]
    for engine in args.engine:
        lines += ["", f"**{ENGINES[engine]}**", "", line(heads), "|" + "---|" * len(heads)]
        lines += [line(cells(row)) for row in rows if row["engine"] == engine]
    lines += ["", explanation(args, rows)]
    return "\n".join(lines)


def line(cells_of_row):
    return "| " + " | ".join(cells_of_row) + " |"


def cells(row):
    seconds, requests = row["seconds"], row["requests"]
    return [
        f"{row['workers']:,}",
        f"{row['prefixes']:,}",
        duration(seconds["plan"]),
        duration(seconds["shards"]),
        row["bound_by"],
        duration(seconds["merge"]),
        duration(seconds["total"]),
        f"{row['vcpu_hours']:,.0f}",
        f"{requests['get'] / 1e6:,.1f} M",
        f"{requests['list'] / 1e6:,.2f} M",
        f"{requests['put']:,}",
        *(f"{row['usd'][item]:,.2f}" for item in ITEMS),
        f"{row['total_usd']:,.2f}",
        "yes" if row["below_limit"] else "no",
    ]


def duration(seconds):
    minutes = round(seconds / 60)
    if seconds < 600:
        return f"{seconds / 60:.1f} min"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def explanation(args, rows):
    """What dominates, in sentences."""
    best = min(rows, key=lambda row: row["total_usd"])
    above = [row for row in rows if not row["below_limit"]]
    largest = max(ITEMS, key=lambda item: best["usd"][item])
    serial = best["seconds"]["plan"] + best["seconds"]["merge"]
    rate = min(args.vcpu_rate, 1e6 / max(args.shard_us + args.shard_system_us, 1e-9))
    text = [
        f"{len(rows) - len(above)} of {len(rows)} rows are below {args.limit:,.0f} USD. Of the least total, "
        f"{best['total_usd']:,.2f} USD ({ENGINES[best['engine']]}, {best['workers']:,} workers, "
        f"{best['prefixes']:,} prefixes), {ITEMS[largest]} is {best['usd'][largest]:,.2f} USD, or "
        f"{share(best['usd'][largest], best['total_usd'])}; the workers are {best['usd']['workers']:,.2f} USD.",
        f"Plan and merge take {duration(serial)} on one machine, with any number of workers.",
        f"A vCPU reads {rate:,.0f} objects a second, and a prefix answers {args.prefix_rate:,.0f} requests: "
        f"more than {args.prefix_rate / rate / args.worker_vcpu:.2g} workers for each prefix wait, and are paid "
        "for it.",
    ]
    if above and all(row["bound_by"] == "prefixes" for row in above):
        text.append("That is so in every row which is not below the limit.")
    return " ".join(text)


def share(part, whole):
    return f"{100 * part / whole:.0f} %" if whole else "nothing"


def expect(condition, what):
    if not condition:
        sys.exit(f"the arithmetic is wrong: {what}")


def is_close(one, other):
    return abs(one - other) <= 1e-9 * max(abs(one), abs(other), 1)


def check():
    """Tests the arithmetic with the default numbers and some others."""
    args = arguments(["--engine", ",".join(ENGINES)])
    of, steps = objects_of(args), requests_of(args, 10)
    expect(of["digests"] == 148_920_000, "accounts × regions × hours")
    expect(steps["shard_get"] == of["digests"] + of["log_files"], "one GET for each digest and log file")
    expect(of["units"] == 2276, "units, rounded up")
    pages = of["objects"] / 1000
    expect(is_close(steps["plan_list"], pages + 2 * 17_000), "LISTs of the plan")
    expect(is_close(steps["shard_list"], pages + 22 * 17_000), "LISTs of the shards")
    expect(is_close(of["objects"] / 1e3 * args.get_price, 227.568), "the charge for GETs")

    one, two = bounds_of(args, 10, 10), bounds_of(args, 20, 10)
    expect(is_close(one["CPU"], of["objects"] * 210e-6 / 10), "CPU time")
    expect(is_close(one["CPU"], 2 * two["CPU"]), "twice the workers halve the CPU-bound part")
    expect(is_close(one["round trips"], 2 * two["round trips"]), "and the round trips")
    expect(is_close(one["prefixes"], two["prefixes"]), "and not what prefixes take")
    expect(is_close(one["prefixes"], 2 * bounds_of(args, 10, 20)["prefixes"]), "twice the prefixes do")
    slow = arguments(["--vcpu-rate", "1000"])
    expect(is_close(bounds_of(slow, 10, 10)["CPU"], of["objects"] / 1e4), "the rate of a vCPU limits")

    rows = all_rows(args)
    expect(len(rows) == 9 * len(ENGINES), "a row for each engine, number of workers and of prefixes")
    for row in rows:
        seconds, where = row["seconds"], f"{row['engine']}, {row['workers']} × {row['prefixes']}"
        expect(set(row["usd"]) == set(ITEMS), f"items: {where}")
        expect(is_close(row["total_usd"], sum(row["usd"].values())), f"the total of the items: {where}")
        expect(row["below_limit"] == (row["total_usd"] < 300), f"the limit: {where}")
        expect(is_close(seconds["total"], seconds["plan"] + seconds["shards"] + seconds["merge"]), f"wall: {where}")
        expect(is_close(seconds["shards"], 60 + max(row["shard_bounds"].values())), f"shards: {where}")
        expect(row["bound_by"] == "prefixes" or row["below_limit"], f"below 300 unless prefixes limit: {where}")
        expect(all(charge >= 0 for charge in row["usd"].values()), f"no negative charge: {where}")
        expect(len(cells(row)) == 11 + len(ITEMS) + 2, f"cells: {where}")
    by_engine = {row["engine"]: row["usd"]["workers"] for row in rows[::9]}
    expect(is_close(by_engine["fargate-spot"], 0.3 * by_engine["fargate"]), "the discount of Fargate Spot")
    expect(all(row["usd"]["driver"] == 0 for row in rows if row["engine"] != "emr"), "only Spark has a driver")

    # One vCPU for one hour costs what its price says.
    hour = str(int(HOUR * 1e6))
    simple = arguments(["--accounts", "1", "--regions", "1", "--hours", "1", "--log-files", "0", "--shard-us", hour,
                        "--shard-system-us", "0", "--startup-seconds", "0", "--fargate-gb-price", "0"])
    row = row_of(simple, "fargate", 1, 1)
    expect(is_close(row["usd"]["workers"], 0.04048), "the price of a vCPU-hour")
    expect(is_close(row["seconds"]["shards"], HOUR), "the time of one object")
    least = row_of(arguments(["--shard-us", "0", "--shard-system-us", "0", "--log-files", "0", "--hours", "1",
                              "--startup-seconds", "0"]), "fargate", 1000, 1000)
    expect(is_close(least["usd"]["workers"], 1000 / 60 * (0.04048 + 2 * 0.004445)), "a minute is paid at least")

    sampled = arguments(["--estimate"])
    expect(requests_of(sampled, 1)["plan_list"] < steps["plan_list"], "--estimate takes fewer LISTs")
    expect(requests_of(sampled, 1)["shard_list"] == steps["shard_list"], "and the shards as many")
    expect(plan_seconds(sampled, 10) < plan_seconds(args, 10), "and the plan less time")
    expect(is_close(merge_seconds(args), of["objects"] * 12e-6), "the merge on two cores")
    expect(is_close(merge_seconds(arguments(["--machine-vcpu", "16"])), of["objects"] * 10e-6), "its serial part")
    twice = row_of(arguments(["--repeated", "1"]), "fargate", 10, 10)
    expect(is_close(twice["shard_bounds"]["CPU"], 2 * one["CPU"]), "repeated work takes its time")

    kms = row_of(arguments(["--kms-requests", "1"]), "emr", 10, 10)
    expect(is_close(kms["usd"]["other"], 1260), "a request to KMS for each log file")
    free = [f"--{name}=0" for name, _, _ in NUMBERS["prices in USD (us-east-1, 2026)"] if name.endswith("-price")]
    expect(all(row["total_usd"] == 0 for row in all_rows(arguments(free))), "without prices, no charge")

    read_back = json.loads(json.dumps(report(args, rows)))
    expect(read_back["rows"][0]["total_usd"] == rows[0]["total_usd"], "JSON has the same figures")
    print("the arithmetic is as expected")


if __name__ == "__main__":
    main()
