"""The cases of fetch.sh: fetch_cases.py PROBE DIR [PATTERN]. Ends with 1 when any case fails."""
import concurrent.futures
import re
import os
import sys
import time
import traceback

import fetch_beside  # noqa: F401  (registers its cases)
import fetch_bodies  # noqa: F401
import fetch_heads  # noqa: F401
import fetch_plain  # noqa: F401
from fetch_harness import DIR, SECRET, Test, cases, second, server


def run_case(function):
    test = Test(function.__name__)
    begin = time.monotonic()
    try:
        function(test)
        return function.__name__, None, time.monotonic() - begin
    except Exception:
        return function.__name__, traceback.format_exc(), time.monotonic() - begin


def credentials_seen():
    for one in (server, second):
        for name, its in one.cases.items():
            for request in its.requests:
                if {"authorization", "cookie", "proxy-authorization"} & set(request.headers):
                    yield name


def main():
    os.mkdir(DIR + "/home")
    with open(DIR + "/home/.netrc", "w", encoding="ascii") as file:
        file.write("machine 127.0.0.1 login user password %s\n" % SECRET)
    wanted = [one for one in cases if len(sys.argv) < 4 or re.search(sys.argv[3], one.__name__)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for name, trouble, seconds in pool.map(run_case, wanted):
            if trouble:
                failed += 1
                print("FAIL %s (%.1f s)\n%s" % (name, seconds, trouble))
    leaks = sorted(set(credentials_seen()))
    if leaks:
        print("FAIL credentials were sent in:", *leaks)
    print("%d cases, %d failed" % (len(wanted), failed))
    return 1 if failed or leaks or not wanted else 0


sys.exit(main())
