//go:build unix

package access

import (
	"io/fs"
	"syscall"
)

// inode tells a file from the one that took its place.
func inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Ino)
	}
	return 0
}
