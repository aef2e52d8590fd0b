"""Runs the cases of registry_auth.sh: registry_cases.py PROBE DIR [PATTERN].

Lines for the shell, fields with tabs between: `row ID`, then `ok NAME`, `bad NAME WHY`, and
`control tripped|missed|none WHY` of that row.
"""
import concurrent.futures
import os
import re
import sys
import time
import traceback

import registry_auth_cases  # noqa: F401  (registers its cases)
import registry_content_cases  # noqa: F401
import registry_document_cases  # noqa: F401
import registry_pull_cases  # noqa: F401
from registry_harness import DIR, Test, cases, mock
from registry_rules_cases import controls


def run_case(row, name, function):
    begin = time.monotonic()
    trouble = None
    try:
        function(Test(name, **function.options))
    except Exception:
        trouble = traceback.format_exc()
    if os.environ.get("VERBOSE_TESTS"):
        print("%.1f s: %s" % (time.monotonic() - begin, name), file=sys.stderr, flush=True)
    return row, name, trouble


def one_line(text):
    return text.strip().replace("\n", " | ").replace("\t", " ")


def run_control(row):
    for its, function in controls:
        if its != row:
            continue
        try:
            tripped = function()
        except Exception:
            return "missed", one_line(traceback.format_exc())
        if tripped is None:
            return "none", "the tool for it is not installed"
        return ("tripped", tripped) if tripped else ("missed", function.__name__)
    return "none", "there is no tool without it"


def main():
    os.mkdir(DIR + "/home")
    with open(DIR + "/home/.netrc", "w", encoding="ascii") as file:
        file.write("machine 127.0.0.1 login netrc password netrc-secret\n"
                   "default login netrc password netrc-secret\n")
    wanted = [one for one in cases if len(sys.argv) < 4 or re.search(sys.argv[3], one[1])]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda one: run_case(*one), wanted))
    for row in sorted({one[0] for one in done}):
        print("row\t%s" % row)
        for its, name, trouble in done:
            if its == row:
                print("bad\t%s\t%s" % (name, one_line(trouble)) if trouble else "ok\t%s" % name)
        if row[0] == "R":
            print("control\t%s\t%s" % run_control(row))
    for bug in mock.log.bugs:
        print("bad\tthe mock itself\t%s" % one_line(bug))
    print("end")


main()
