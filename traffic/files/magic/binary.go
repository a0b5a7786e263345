package magic

import (
	"bytes"
	"encoding/binary"
)

// elf tells the kinds of ELF files: e_type at byte 16, in the order of bytes
// that byte 5 states.
func elf(kind uint16) func([]byte) bool {
	return func(b []byte) bool {
		if len(b) < 18 || b[4] != 1 && b[4] != 2 {
			return false
		}
		switch b[5] {
		case 1:
			return binary.LittleEndian.Uint16(b[16:]) == kind
		case 2:
			return binary.BigEndian.Uint16(b[16:]) == kind
		}
		return false
	}
}

// oid looks for an object identifier where OCSP messages have their first one.
func oid(lit string) func([]byte) bool {
	return func(b []byte) bool {
		for at := 11; at <= 19 && at+len(lit) <= len(b); at++ {
			if string(b[at:at+len(lit)]) == lit {
				return true
			}
		}
		return false
	}
}

// office looks for an Office Open XML file: the first member of the ZIP file is
// one of those that such files begin with, and a later one lies in dir.
func office(dir string) func([]byte) bool {
	const header = 30 // of a member, before its name
	sign := []byte("PK\x03\x04")
	return func(b []byte) bool {
		if len(b) < header {
			return false
		}
		name := b[header:]
		if !bytes.HasPrefix(name, []byte("[Content_Types].xml")) && !bytes.HasPrefix(name, []byte("_rels/.rels")) &&
			!bytes.HasPrefix(name, []byte(dir)) {
			return false
		}
		for {
			i := bytes.Index(name, sign)
			if i < 0 || len(name) < i+header {
				return false
			}
			if bytes.HasPrefix(name[i+header:], []byte(dir)) {
				return true
			}
			name = name[i+len(sign):]
		}
	}
}

// jar looks for a manifest among the first members of a ZIP file.
func jar(b []byte) bool {
	const name = "META-INF/MANIFEST.MF"
	at := bytes.Index(b, []byte(name))
	for at >= 0 {
		if at >= 9 && at-4 <= 204 && b[at-4] == 0x14 && b[at-3] == 0 {
			return true
		}
		next := bytes.Index(b[at+1:], []byte(name))
		if next < 0 {
			return false
		}
		at += 1 + next
	}
	return false
}

// ebml looks for the document type in the head of a Matroska or WebM file.
func ebml(kind string) func([]byte) bool {
	return func(b []byte) bool {
		for rest := b[4:]; ; {
			i := bytes.Index(rest, []byte("B\x82"))
			if i < 0 || len(rest) < i+3 {
				return false
			}
			if bytes.HasPrefix(rest[i+3:], []byte(kind)) {
				return true
			}
			rest = rest[i+2:]
		}
	}
}

// tar looks at the fields of a tar header: a name, then three short numbers, two
// long ones and a checksum, all octal (POSIX.1-1988 ustar and before it).
func tar(b []byte) bool {
	if len(b) < 157 {
		return false
	}
	for _, c := range b[:100] {
		if c != 0 && (c < 0x20 || c > 0x7e) {
			return false
		}
	}
	number := func(f []byte) bool {
		for _, c := range f[:len(f)-1] {
			if c != ' ' && (c < '0' || c > '9') {
				return false
			}
		}
		return f[len(f)-1] == 0
	}
	if !number(b[100:108]) || !number(b[108:116]) || !number(b[116:124]) || !number(b[124:136]) || !number(b[136:148]) {
		return false
	}
	for _, c := range b[148:155] {
		if c != ' ' && c != 0 && (c < '0' || c > '9') {
			return false
		}
	}
	return (b[155] == ' ' || b[155] == 0) && (b[156] == 0 || b[156] >= '0' && b[156] <= '7')
}
