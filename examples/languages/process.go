// SPDX-License-Identifier: MIT

// CGO_ENABLED=0 go build process.go && ./process [PID...]
//
// A goroutine creates each child, the first of them with its thread locked. The child has one
// thread of the runtime, and so no scheduler: it executes a program at once. Nothing may move its
// stack in between, so RawSyscall, and what execve needs is made before.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"unsafe"
)

type cloneStruct struct {
	flags, childStack                      uint64
	nrPids, parentTid, childTid, reserved1 uint32
	reserved2                              uint64
}

var (
	shell, _ = syscall.BytePtrFromString("/bin/sh")
	argv, _  = syscall.SlicePtrFromStrings([]string{"sh", "-c", "echo \"child: my pid is $$\""})
	envp, _  = syscall.SlicePtrFromStrings(os.Environ())
)

func clone2Exec(pid int32) (int, syscall.Errno) {
	args := cloneStruct{flags: uint64(syscall.SIGCHLD), nrPids: 1}
	child, _, errno := syscall.RawSyscall(387, uintptr(unsafe.Pointer(&args)),
		uintptr(unsafe.Pointer(&pid)), 0)
	if child == 0 && errno == 0 {
		syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(shell)),
			uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])))
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 127, 0, 0)
	}
	return int(child), errno
}

func main() {
	pids := os.Args[1:]
	if len(pids) == 0 {
		pids = []string{"7000"}
	}
	var group sync.WaitGroup
	for i, text := range pids {
		pid, _ := strconv.Atoi(text)
		group.Add(1)
		go func(locked bool) {
			defer group.Done()
			if locked {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			child, errno := clone2Exec(int32(pid))
			if errno != 0 {
				fmt.Fprintln(os.Stderr, "clone2:", errno)
				os.Exit(1)
			}
			syscall.Wait4(child, nil, 0, nil)
			fmt.Printf("parent: the child's pid was %d\n", child)
		}(i == 0)
	}
	group.Wait()
}
