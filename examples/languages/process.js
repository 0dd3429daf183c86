// SPDX-License-Identifier: MIT
// node process.js [PID...]
'use strict';
const { clone2Exec, wait } = require(process.env.CLONE2_ADDON || './clone2.node');

for (const pid of process.argv.length > 2 ? process.argv.slice(2) : [7000]) {
  const child = clone2Exec(Number(pid), '/bin/sh', '-c', 'echo "child: my pid is $$"');
  wait(child);
  console.log(`parent: the child's pid was ${child}`);
}
