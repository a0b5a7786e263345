// Package procinfo reads what the system tells of a process: which one it is,
// and what it uses. Linux tells all, other systems some. It only reads, and
// keeps nothing.
package procinfo

import "time"

// Usage is what a process uses. Fields that the system does not tell are zero.
type Usage struct {
	PSS   int64         // bytes, shared pages divided among their users
	RSS   int64         // bytes resident
	CPU   time.Duration // user and system time since it started
	User  time.Duration // part of CPU
	VSZ   int64         // bytes of address space
	Files int           // descriptors open; only the owner and root are told
	State string        // one letter as in ps: R, S, T (stopped), Z ...
}
