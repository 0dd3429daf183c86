// SPDX-License-Identifier: MIT
// rustc instruction.rs && ./instruction [PID]: the instruction itself, without libc's syscall()
use std::arch::asm;
use std::env;

#[repr(C)]
#[derive(Default)]
struct CloneStruct {
    flags: u64,
    child_stack: u64,
    nr_pids: u32,
    parent_tid: u32,
    child_tid: u32,
    reserved1: u32,
    reserved2: u64,
}

const WAIT4: i64 = 61;
const CLONE2: i64 = 387;
const SIGCHLD: u64 = 17;

unsafe fn system_call(number: i64, a: u64, b: u64, c: u64, d: u64) -> i64 {
    let result;
    asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c,
         in("r10") d, out("rcx") _, out("r11") _, options(nostack));
    result
}

fn main() {
    let pid: i32 = env::args().nth(1).map_or(7000, |text| text.parse().expect("a pid"));
    let args = CloneStruct { flags: SIGCHLD, nr_pids: 1, ..Default::default() };
    let child = unsafe { system_call(CLONE2, &args as *const _ as u64, &pid as *const _ as u64, 0, 0) };
    if child == 0 {
        println!("child: my pid is {}", std::process::id());
        return;
    }
    if child < 0 {
        eprintln!("clone2: {}", std::io::Error::from_raw_os_error(-child as i32));
        std::process::exit(1);
    }
    unsafe { system_call(WAIT4, child as u64, 0, 0, 0) };
    println!("parent: the child's pid was {}", child);
}
