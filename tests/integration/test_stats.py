# SPDX-License-Identifier: MIT
"""--stats: at the end, stderr shows how many calls had each result and how long they took."""
import re

import harness


class Stats(harness.Case):
    def stats(self, script, *options):
        result = harness.supervise("--stats", *options, "--", "sh", "-c", script, harness.CALL)
        return result, result.err

    def count(self, text, word):
        """The number beside this word, in any layout."""
        found = re.findall(rf"{word}[^\w\n]+(\d+)\b|\b(\d+)[^\w\n]+{word}\b", text)
        self.assertEqual(len(found), 1, f"{word} in {text!r}")
        return int(found[0][0] or found[0][1])

    def test_counts(self):
        _, text = self.stats('"$0" -q -r 7 7000; "$0" -q -r 4 1; "$0" -q -r 3 -a; '
                             '"$0" -q -r 5 -- -2')
        self.assertEqual(self.count(text, "EBUSY"), 4)
        self.assertEqual(self.count(text, "EFAULT"), 3)
        self.assertEqual(self.count(text, "EINVAL"), 5)
        self.assertRegex(text, r"\b7\b")
        self.assertRegex(text, r"\b19\b|\b7\b")

    def test_latency(self):
        _, text = self.stats('"$0" -q -r 20')
        self.assertIn("p50", text)
        self.assertIn("p99", text)

    def test_nothing_on_stdout(self):
        result, text = self.stats('"$0" -q; echo out')
        self.assertEqual(result.out, "out\n")
        self.assertTrue(text)

    def test_no_calls(self):
        result, text = self.stats("exit 3")
        self.assertEqual(result.status, 3)
        self.assertRegex(text, r"\b0\b")
        self.assertNotIn("nan", text.lower())

    def test_with_wait_all(self):
        _, text = self.stats('"$0" -q -r 50 -i 5 1 & exit 0', "--wait-all")
        self.assertEqual(self.count(text, "EBUSY"), 50)

    def test_status_is_passed_on(self):
        result, _ = self.stats('"$0" -q; kill -9 $$')
        self.assertEqual(result.status, -9)

    def test_leftovers_do_not_delay(self):
        # The command ends with PROGRAM; the statistics cover the time until then.
        result, text = self.stats('"$0" -q -r 10 1; sleep 1000 >/dev/null 2>&1 &')
        self.assertEqual(result.status, 0)
        self.assertTrue(text)


if __name__ == "__main__":
    harness.main()
