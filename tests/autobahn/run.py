"""Runs all cases of the Autobahn test suite against an echo server, and says which fail."""

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from urllib.parse import urlsplit

from cases import case_id, load
from fuzzer import Fuzzer, WrongServer

AT_ONCE = 8
CASE_LIMIT = 130
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
GOOD_CLOSE = {"OK", "INFORMATIONAL"}


async def verdict(kind, target, headers):
    """Runs one case: `(behaviour, failure)`, without a failure when it passes."""
    fuzzer = Fuzzer()
    case = kind(fuzzer)
    path = target.path or "/"
    if target.query:
        path += f"?{target.query}"
    try:
        await asyncio.wait_for(fuzzer.run(case, target.hostname, target.port or 80, path, headers), CASE_LIMIT)
    except asyncio.TimeoutError:
        return "FAILED", f"not over within {CASE_LIMIT} s"
    except (OSError, WrongServer, UnicodeDecodeError) as failure:
        return "FAILED", str(failure)
    if case.behavior not in GOOD:
        return case.behavior, case.result
    if case.behaviorClose not in GOOD_CLOSE:
        return case.behavior, f"{case.behaviorClose}: {case.resultClose} (close code {fuzzer.remoteCloseCode})"
    return case.behavior, None


async def run_all(kinds, target, headers):
    verdicts = {}

    async def run(kind):
        verdicts[case_id(kind)] = await verdict(kind, target, headers)

    # The heavy ones measure time: one after another, so that they do not wait for each other.
    heavy = [kind for kind in kinds if case_id(kind).startswith("9.")]
    light = iter([kind for kind in kinds if not case_id(kind).startswith("9.")])

    async def work():
        for kind in light:
            await run(kind)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    for kind in heavy:
        await run(kind)
    return verdicts


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="the echo server, such as ws://127.0.0.1:9001/echo; only this machine is tested")
    parser.add_argument("--package", required=True, help="the folder into which pip has put autobahntestsuite")
    parser.add_argument("--only", default="", help="run the cases whose number begins with this")
    options = parser.parse_args()
    target = urlsplit(options.url)
    if target.scheme != "ws" or target.hostname not in ("127.0.0.1", "localhost", "::1"):
        parser.error("the URL must be ws:// on this machine")
    # Servers may drop a connection while a case still sends: that is for the case to judge.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    headers = [line for line in os.environ.get("AUTOBAHN_HEADERS", "").splitlines() if line]
    with tempfile.TemporaryDirectory(prefix="autobahn-") as folder:
        kinds = [kind for kind in load(options.package, folder) if case_id(kind).startswith(options.only)]
        started = time.monotonic()
        verdicts = asyncio.run(run_all(kinds, target, headers))
    failures = {number: failure for number, (_, failure) in verdicts.items() if failure}
    for number, failure in failures.items():
        print(f"{number} failed: {failure}")
    for word in sorted(GOOD - {"OK"}):
        print(f"{word}: {' '.join(number for number, (behaviour, _) in verdicts.items() if behaviour == word)}")
    print(f"{len(kinds)} cases in {time.monotonic() - started:.0f} s")
    print(f"{len(kinds) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures or not kinds else 0


if __name__ == "__main__":
    sys.exit(main())
