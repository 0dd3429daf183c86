# SPDX-License-Identifier: MIT
"""--check: what works and what does not, each with its consequence."""
import json
import os
import re

import harness

# What it must report on, by a word that one of its lines must contain.
TOPICS = ("notif", "set_tid", "ptrace", "io_uring", "privilege", "level", "native")


class Check(harness.Case):
    def features(self):
        """Name -> line, from the plain list."""
        result = harness.supervise("--check")
        self.assertIn(result.status, (0, 1), result)
        lines = [line for line in result.out.splitlines() if line and not line[0].isspace()]
        return {line.split()[0].rstrip(":"): line for line in lines}

    def test_all_topics_are_covered(self):
        text = harness.supervise("--check").out.lower()
        for topic in TOPICS:
            self.assertIn(topic, text)

    def test_each_line_says_more_than_a_name(self):
        features = self.features()
        self.assertGreaterEqual(len(features), 6, features)
        for line in features.values():
            self.assertGreaterEqual(len(line.split()), 4, f"no consequence in: {line}")

    def test_each_feature_can_be_queried(self):
        for name, line in self.features().items():
            for form in ([f"--check={name}"], ["--check", name]):
                with self.subTest(form=form):
                    result = harness.supervise(*form)
                    self.assertIn(result.status, (0, 1), result)
                    self.assertIn(name, result.out)
                    self.assertEqual(result.err, "")

    def test_status_of_root_on_this_kernel(self):
        # If clone2 works, the whole check and the features it needs return 0.
        works = harness.supervise("--", harness.CALL, "7000").status == 0
        self.assertEqual(harness.supervise("--check").status, 0 if works else 1)

    def test_json(self):
        lines = harness.supervise("--check").out.splitlines()
        features = json.loads(harness.supervise("--check", "--json").out)
        self.assertEqual([f["feature"] for f in features], [line.split()[0] for line in lines])
        for feature in features:
            self.assertEqual(set(feature), {"feature", "present", "required", "found",
                                            "consequence"})
        one, = json.loads(harness.supervise("--check=set_tid", "--json").out)
        self.assertEqual((one["feature"], one["required"]), ("set_tid", True))

    def test_privilege_is_seen(self):
        self.need_root()
        self.need_command("setpriv")
        wrapper = self.public_copy(harness.SUPERVISE)
        result = harness.run(["setpriv", f"--reuid={harness.NOBODY}", "--clear-groups", wrapper,
                              "--check"], cwd="/")
        self.assertIn(result.status, (0, 1), result)
        self.assertNotEqual(result.out, harness.supervise("--check").out)
        self.assertIn("--pidns", result.out, "the way to go without privilege is not named")

    def test_existing_listener_is_seen(self):
        result = harness.supervise("--", harness.SUPERVISE, "--check")
        self.assertEqual(result.status, 1, result)
        self.assertIn("listener", result.out.lower())

    def test_starts_and_leaves_nothing(self):
        harness.supervise("--check")
        mine = [p for p in harness.procs.everything() if p.comm.startswith("clone2")]
        self.assertEqual([p for p in mine if not p.ended], [])

    # How each architecture's calls are tried.
    WAYS = {"x86_64": ["a 64-bit program"],
            "i386": ["int $0x80 of a 32-bit program", "the vdso of a 32-bit program",
                     "int $0x80 of a 64-bit program"]}

    def forms(self, *options, before=()):
        """Name -> feature, of each form of the call."""
        result = harness.run([*before, harness.SUPERVISE, "--check", "--json", *options])
        self.assertIn(result.status, (0, 1), result)
        return {f["feature"]: f for f in json.loads(result.out) if ":" in f["feature"]}

    def test_each_form_is_made(self):
        self.need_root()
        forms = self.forms()
        self.assertEqual(list(forms), [f"{arch}:{abi}" for arch in self.WAYS
                                       for abi in ("clone2", "eclone", "clone_with_pids")])
        numbers = {"x86_64:eclone": 300, "i386:eclone": 338, "i386:clone_with_pids": 337}
        for name, form in forms.items():
            ways = "; ".join(rf"by {re.escape(way)}: a child with pid \d+ was made"
                             for way in self.WAYS[name.split(":")[0]])
            self.assertRegex(form["found"], rf"\Anumber {numbers.get(name, 387)}, {ways}\Z")
            self.assertTrue(form["present"], form)
            self.assertEqual(form["required"], name == "x86_64:clone2")

    def test_form_by_the_given_number(self):
        self.need_root()
        forms = self.forms("--nr", "500=eclone,i386:337")
        self.assertRegex(forms["x86_64:eclone"]["found"], "number 500, .* was made")
        self.assertRegex(forms["i386:clone2"]["found"], "number 337, .* was made")
        self.assertEqual([name for name, form in forms.items() if form["required"]],
                         ["x86_64:eclone"])

    def test_form_without_privilege(self):
        self.need_root()
        self.need_command("setpriv")
        wrapper = self.public_copy(harness.SUPERVISE)
        result = harness.run(["setpriv", f"--reuid={harness.NOBODY}", "--clear-groups", wrapper,
                              "--check=i386:eclone"], cwd="/")
        self.expect(result, 0)
        self.assertEqual(result.out.count(", which could not be chosen, was made"), 3, result)

    def test_form_that_is_refused(self):
        # 322: execveat, by which the 32-bit program would be executed. Its errno is that of a
        # kernel without such programs.
        forms = self.forms(before=[harness.REFUSE, "300=38", "387=kill", "322=8", "--"])
        for name, found in (("x86_64:eclone", "number 300, by a 64-bit program: ENOSYS"),
                            ("x86_64:clone2", "number 387, by a 64-bit program: the call ends its "
                                              "caller with SIGSYS")):
            self.assertEqual(forms[name]["found"], found)
            self.assertEqual(forms[name]["consequence"], "such calls are not served here")
        i386 = forms["i386:eclone"]
        self.assertEqual(i386["found"].count("not tried, because this kernel executes no such "
                                             "programs (ENOEXEC)"), 2, i386)
        self.assertRegex(i386["found"], r"by int \$0x80 of a 64-bit program: a child with pid ")
        self.assertEqual((i386["present"], i386["consequence"]),
                         (False, "served where a child was made"))

    def test_unknown(self):
        for form in (["--check=nosuch"], ["--check", "nosuch"], ["--check="], ["--check", ""]):
            with self.subTest(form=form):
                result = harness.supervise(*form)
                self.expect(result, 125)
                self.assertEqual(result.out, "")

    def test_full_disk(self):
        self.need("dev-full", os.path.exists("/dev/full"))
        with open("/dev/full", "w") as full:
            self.assertEqual(harness.supervise("--check", stdout=full).status, 125)


if __name__ == "__main__":
    harness.main()
