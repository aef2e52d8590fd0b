"""The cells of registry_faults.sh: registry_matrix.py PROBE DIR all|some [PATTERN].

Every fault, at the manifest, the config, a layer and the token, at the first, the middle and the last
byte. Whatever happens, what comes is right or a clean failure, within bounds of requests and time; and
the next pull from a registry in good health is right, with what the bad one left.
"""
import collections
import concurrent.futures
import re
import sys
import time
import traceback

from registry_faults import FAULTS, Hit
from registry_harness import LAYER, REDIRECTS_MAX, TRIES_MAX, Test, mock

TARGETS = ("manifest", "config", "blob", "token")
PLACES = ("first", "middle", "last")
TIME_MAX_S = 30
SENT_MAX = 16 << 20     # beyond what was to be sent: buffers of the kernel
SAVED = 0.9
assert len(FAULTS) == 63, len(FAULTS)


class Cell:
    def __init__(self, fault, target, place):
        self.name = "%s.%s.%s" % (fault, target, place)
        self.fault, self.target, self.place = FAULTS[fault], target, place
        self.is_twice = fault == "reset_twice"
        self.struck = 0
        self.healthy = False
        self.hits = []          # requests for what is bad

    def at(self, data):
        return {"first": 0, "middle": len(data) // 2, "last": len(data) - 1}[self.place]

    def strikes(self):
        """Is this answer bad, and is it the cut that comes before the bad one?"""
        self.struck += 1
        if self.healthy:
            return False, False
        if self.fault.later and self.place != "first":
            return not self.fault.once or self.struck <= 2, self.struck == 1
        return not self.fault.once or self.struck <= 1 + self.is_twice, False

    def hook(self, request, reply):
        if not self.is_target(request):
            return False
        self.hits.append(request)
        if self.target == "token":
            data = self.token
            fields = {"Content_Type": "application/json"}
        else:
            data = self.test.parts()[self.target][1]
            fields = {"Content_Type": self.test.repo.manifests[self.test.manifest][0]
                      if self.target == "manifest" else "application/octet-stream",
                      "ETag": '"%s"' % self.name}
        hit = Hit(self, request, reply, data, fields)
        bad, cut = self.strikes()
        if cut:
            hit.begin()
            reply.reset()
        elif bad:
            self.fault.answer(hit)
        else:
            hit.good()
        return True

    def is_target(self, request):
        if self.target == "token":
            return request.path.startswith("/token/")
        if self.target == "manifest":
            return "/manifests/" in request.path
        digest = self.test.parts()[self.target][0][1]
        return request.path.endswith(digest)

    # ---- what has to come of it ------------------------------------------------------------------

    def run(self):
        self.test = Test(self.name)
        if self.target == "token":
            self.test.repo.auth = "bearer"
            self.token = mock.gate.grant(self.test.repo, [(self.name, {"pull"})])
        self.test.repo.hook = self.hook
        self.part = "blob" if self.target == "token" else self.target
        expect = self.fault.token if self.target == "token" else self.fault.expect
        begin = time.monotonic()
        result = self.test.run(*self.test.parts()[self.part][0])
        took = time.monotonic() - begin
        right = self.test.file(self.part) == self.test.parts()[self.part][1]
        assert took < TIME_MAX_S, "took %d s" % took
        assert expect == "any" or expect == ("good" if result.code == 0 else "bad"), result.output
        assert result.code != 0 or right, "wrong bytes were taken for good"
        assert result.error != "fetch.digest" or self.test.file(self.part) == b"", \
            "wrong bytes were left"
        self.check_bounds()
        if self.fault.resumes and self.target in ("config", "blob") and self.place != "first":
            self.check_saved()
        self.healthy = True
        self.test.pull(self.part)
        return "good" if result.code == 0 else result.error

    def check_bounds(self):
        follows = [one for one in self.hits if "step" in one.query]
        tries = len(self.hits) - len(follows)
        assert tries <= TRIES_MAX, "%d tries" % tries
        assert len(follows) <= tries * REDIRECTS_MAX, "%d redirects" % len(follows)
        sent = sum(one.sent for one in self.hits)
        assert sent <= TRIES_MAX * (len(LAYER) + SENT_MAX), "%d bytes were sent" % sent
        assert self.test.asked("http") == [], "http:// was asked"

    def check_saved(self):
        data = self.test.parts()[self.target][1]
        again = sum(one.sent for one in self.hits) - len(data)
        assert again <= (1 - SAVED) * self.at(data), "%d bytes were sent again" % again


def cells(which):
    """All, or two for each fault, spread over targets and places."""
    for number, fault in enumerate(FAULTS):
        both = [(target, place) for target in TARGETS for place in PLACES]
        if which == "some":
            # 5 and 7 have nothing in common with 12: every pair has its turn
            both = [both[number * 5 % 12], both[(number * 5 + 7) % 12]]
        for target, place in both:
            yield Cell(fault, target, place)


def run_cell(cell):
    begin = time.monotonic()
    try:
        outcome, trouble = cell.run(), None
    except Exception:
        outcome, trouble = "FAILED", traceback.format_exc()
    return cell, outcome, trouble, time.monotonic() - begin


def main():
    wanted = [one for one in cells(sys.argv[3])
              if len(sys.argv) < 5 or re.search(sys.argv[4], one.name)]
    outcomes, slow = collections.Counter(), []
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        for cell, outcome, trouble, took in pool.map(run_cell, wanted):
            outcomes[outcome] += 1
            slow.append((took, cell.name))
            if trouble:
                print("FAIL %s (%.1f s)\n%s    asked: %s" % (cell.name, took, trouble,
                                                           cell.hits[:12]))
    for bug in mock.log.bugs:
        print("FAIL the mock itself\n" + bug)
    print("%d cells: %s" % (len(wanted), ", ".join(
        "%d %s" % (count, outcome) for outcome, count in outcomes.most_common())))
    print("slowest: " + ", ".join("%s %.1f s" % (name, took)
                                  for took, name in sorted(slow)[:-4:-1]))
    return 1 if outcomes["FAILED"] or mock.log.bugs or not wanted else 0


sys.exit(main())
