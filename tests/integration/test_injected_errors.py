# SPDX-License-Identifier: MIT
"""--inject: calls fail as asked, and are not made."""
import harness


class Inject(harness.Case):
    def results(self, *options, call=("-r", "6")):
        result = harness.supervise("--log", self.path("log"), *options, "--", harness.CALL, *call)
        return harness.calls(result.out)

    def failed(self, *options):
        """The numbers of the calls that failed with EAGAIN; the others have succeeded."""
        results = self.results(*options)
        self.assertEqual(len(results), 6)
        for result in results:
            self.assertTrue(result == "EAGAIN" or isinstance(result, int), results)
        return [number for number, result in enumerate(results, 1) if result == "EAGAIN"]

    def test_every_call(self):
        self.assertEqual(self.results("--inject", "EBUSY"), ["EBUSY"] * 6)
        self.assertEqual(self.read("log").count("= -1 EBUSY (injected into call "), 6)

    def test_when(self):
        for when, numbers in (("2", [2]), ("1..3", [1, 2, 3]), ("4+", [4, 5, 6]),
                              ("2+2", [2, 4, 6]), ("1..4+3", [1, 4]), ("7", [])):
            with self.subTest(when=when):
                self.assertEqual(self.failed(f"--inject=EAGAIN:when={when}"), numbers)

    def test_by_number(self):
        self.assertEqual(self.results("--inject=11:when=1")[0], "EAGAIN")

    def test_the_first_that_hits_counts(self):
        results = self.results("--inject=EIO:when=2", "--inject=EAGAIN:when=1..3")
        self.assertEqual(results[:3], ["EAGAIN", "EIO", "EAGAIN"])

    def test_not_made(self):
        # The pid stays free: the next call gets it.
        script = '"$0" -r 1 7000; "$0" -r 1 7000'
        result = harness.supervise("--inject=ENOMEM:when=1", "--", "sh", "-c", script, harness.CALL)
        self.assertEqual(harness.calls(result.out), ["ENOMEM", 7000], result)

    def test_descendants_are_counted_together(self):
        script = 'for i in 1 2 3 4; do "$0"; done'
        result = harness.supervise("--inject=EAGAIN:when=3", "--", "sh", "-c", script, harness.CALL)
        results = harness.calls(result.out)
        self.assertEqual([r == "EAGAIN" for r in results], [False, False, True, False], result)

    def test_calls_that_are_wrong_anyhow_count(self):
        self.assertEqual(self.results("--inject=EIO:when=1", call=["-a"]), ["EIO"])
        self.assertEqual(self.results("--inject=EIO:when=2", call=["-a", "-r", "2"]),
                         ["EFAULT", "EIO"])


if __name__ == "__main__":
    harness.main()
