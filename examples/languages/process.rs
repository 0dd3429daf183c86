// SPDX-License-Identifier: MIT
// rustc process.rs && ./process [PID]: libc's syscall(), without a crate
use std::env;
use std::io::{Error, Write};
use std::os::raw::{c_int, c_long};

extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}

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

const CLONE2: c_long = 387;
const SIGCHLD: u64 = 17;

fn main() -> Result<(), Error> {
    let pid: c_int = env::args().nth(1).map_or(7000, |text| text.parse().expect("a pid"));
    let args = CloneStruct { flags: SIGCHLD, nr_pids: 1, ..Default::default() };
    // With one thread the child may do anything, as after fork().
    let child = unsafe { syscall(CLONE2, &args as *const _, &pid as *const _) };
    if child == 0 {
        println!("child: my pid is {}", std::process::id());
        return Ok(());
    }
    if child < 0 {
        return Err(Error::last_os_error());
    }
    unsafe { waitpid(child as c_int, std::ptr::null_mut(), 0) };
    println!("parent: the child's pid was {}", child);
    std::io::stdout().flush()
}
