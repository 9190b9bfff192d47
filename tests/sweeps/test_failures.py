"""What a dead run is said to have died of, and whether it is tried again."""

import pytest

from distill.sweeps.failures import diagnose, last_words, signature, tail

TRACE = "Traceback (most recent call last):\n  File 'x.py', line 1, in <module>\n"


@pytest.mark.parametrize(
    ("code", "text", "kind", "transient"),
    [
        (2, "conf/train.yaml:3 temperature: got 0, expected > 0", "input", False),
        (3, "step 12: loss is not finite", "numbers", False),
        (4, "disk: 3 MiB free, 10 needed", "resource", False),
        (4, "/x: cannot be written ([Errno 13] Permission denied); free space", "resource", False),
        (4, "memory: CUDA out of memory", "memory", True),
        (1, TRACE + "MemoryError", "memory", True),
        (1, TRACE + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "memory", True),
        (1, TRACE + "RuntimeError: DefaultCPUAllocator: can't allocate memory", "memory", True),
        (-9, "step 3\n", "memory", True),
        (137, "step 3\n", "memory", True),
        (1, TRACE + "requests.exceptions.ConnectionError: Max retries exceeded", "network", True),
        (1, TRACE + "ConnectionResetError: [Errno 104] Connection reset by peer", "network", True),
        (1, TRACE + "OSError: We couldn't connect to 'https://huggingface.co' to load the files", "network", True),
        (1, TRACE + "huggingface_hub.errors.HfHubHTTPError: 429 Client Error", "network", True),
        (1, TRACE + "ValueError: no", "exception", False),
        (1, "TimeoutError: earlier, and handled\n" + TRACE + "ValueError: no", "exception", False),
        (1, TRACE + "KeyError: 'x'\nsome worker said goodbye", "exception", False),
        (7, "bye", "exit", False),
        (1, "", "exit", False),
        (-11, "", "crash", False),
        (-6, "terminate called", "crash", False),
        (143, "", "crash", False),
        (1, "ChildFailedError:\n  exitcode  : -9 (pid: 12)\n", "memory", True),
        (1, "ChildFailedError:\n  exitcode  : 2 (pid: 12)\n", "input", False),
    ],
)
def test_kind(code, text, kind, transient):
    failure = diagnose(code, text)
    assert (failure.kind, failure.transient) == (kind, transient)
    assert failure.cause
    assert "\n" not in failure.cause


TORCHRUN = """x: another process runs it; wait for it
W1124 05:16:38.728000 3153 torch/distributed/elastic/multiprocessing/api.py:1028] Sending process 3222 closing signal
E1124 05:16:38.744000 3153 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: -15) local_rank: 1
Traceback (most recent call last):
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
Failures:
  exitcode  : -15 (pid: 3222)  (SIGTERM)
Root Cause (first observed failure):
  exitcode  : 2 (pid: 3221)
"""


def test_behind_torchrun_the_rank_that_failed_first_is_heard():
    failure = diagnose(1, TORCHRUN)
    assert (failure.kind, failure.exit) == ("input", 2)
    assert failure.cause == "x: another process runs it; wait for it"


def test_a_runs_own_words_win():
    assert diagnose(1, "noise", told="ValueError: mine").cause == "ValueError: mine"


def test_the_class_that_a_runs_own_words_leave_out_is_looked_up_in_the_log():
    text = "sorry, this should not happen: bug: ConnectionError: gone\nrun again with --debug"
    failure = diagnose(1, text, told="gone")
    assert (failure.kind, failure.cause) == ("network", text.partition("\n")[0])


def test_equal_failures_have_one_signature():
    one = signature("exception", "ValueError: 12 of 0x7f3a at /tmp/a/b.py")
    assert one == signature("exception", "ValueError: 7.5 of 0xdead at /home/c.py") != signature("exit", "ValueError")


def test_causes_are_printable_and_short(tmp_path):
    log = tmp_path / "log.txt"
    log.write_bytes(b"\x1b[31mValueError: red\x1b]0;title\x07 \xff\x00" + b"x" * 9000 + b"\n")
    said = last_words(tail(log))
    assert said.startswith("ValueError: red")
    assert said.isprintable()
    assert len(said) <= 300


def test_a_tail_begins_where_it_is_told(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("old\n" * 50_000 + "new\n")
    assert tail(log, since=200_000) == "new\n"
    assert len(tail(log)) == 64 * 1024
    assert tail(tmp_path / "none") == ""
