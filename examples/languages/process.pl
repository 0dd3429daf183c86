# SPDX-License-Identifier: MIT
# perl process.pl [PID...]
use strict;
use warnings;
use POSIX qw(SIGCHLD);

$| = 1;
for my $pid (@ARGV ? @ARGV : 7000) {
    # flags, child_stack, nr_pids, parent_tid, child_tid, reserved
    my $args = pack('QQLLLLQ', SIGCHLD, 0, 1, 0, 0, 0, 0);
    my $pids = pack('l', $pid);
    my $child = syscall(387, $args, $pids);
    die "clone2: $!\n" if $child < 0;
    if ($child == 0) {
        print "child: my pid is $$\n";
        POSIX::_exit(0);
    }
    waitpid($child, 0);
    print "parent: the child's pid was $child\n";
}
