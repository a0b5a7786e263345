package node

import "runtime/metrics"

// memoryMB is what the process has from the system, in MiB.
func memoryMB() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return (s[0].Value.Uint64() - s[1].Value.Uint64()) >> 20
}
