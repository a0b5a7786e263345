package ftp

import "bytes"

// isAbsolute tells paths that begin at a root, of Unix or of Windows.
func isAbsolute(p []byte) bool { return rootLen(p) > 0 }

// rootLen is how long the root is that a path begins with.
func rootLen(p []byte) int {
	switch {
	case len(p) > 0 && p[0] == '/':
		return 1
	case len(p) > 2 && (p[0]|0x20) >= 'a' && (p[0]|0x20) <= 'z' && p[1] == ':' && (p[2] == '/' || p[2] == '\\'):
		return 3
	}
	return 0
}

// extractPath returns the first absolute path in a text: it ends before a blank
// that no backslash precedes, or a quotation mark.
func extractPath(s []byte) []byte {
	for i := range s {
		n := rootLen(s[i:])
		if n == 0 {
			continue
		}
		for n += i; n < len(s) && s[n] != '"'; n++ {
			if s[n] == ' ' && (s[n-1] != '\\' || n-1 < i+rootLen(s[i:])) {
				break
			}
		}
		return s[i:n]
	}
	return nil
}

// appendPath appends the path of a file seen from a directory, without what goes
// up and down again, as Zeek's compress_path makes it. dst must be neither.
func appendPath(dst, dir, name []byte) []byte {
	at := len(dst)
	if !isAbsolute(name) && len(dir) > 0 {
		dst = append(dst, dir...)
		if dir[len(dir)-1] != '/' {
			dst = append(dst, '/')
		}
	}
	dst = append(dst, name...)
	return dst[:at+compress(dst[at:])]
}

// compress shortens a path in place and returns its length. A first "." stays,
// and ".." goes over nothing but names.
func compress(p []byte) int {
	if !bytes.Contains(p, []byte("/.")) && !bytes.Contains(p, []byte("//")) {
		if len(p) > 1 && p[len(p)-1] == '/' {
			return len(p) - 1
		}
		return len(p)
	}
	root := 0
	if p[0] == '/' {
		root = 1
	}
	// out is what is kept so far: each part with a slash behind it.
	out, first := root, true
	for rest := p; ; first = false {
		part, behind, more := bytes.Cut(rest, []byte("/"))
		if len(part) > 0 && (first || string(part) != ".") {
			last := out // where the part before begins
			if out > root {
				last = root + bytes.LastIndexByte(p[root:out-1], '/') + 1
			}
			before := p[last:max(out-1, last)]
			switch {
			case string(part) != ".." || last == out || string(before) == "~" || string(before) == "..":
				out += copy(p[out:], part)
				if more {
					p[out] = '/'
					out++
				}
			case string(before) == ".":
				out = last + copy(p[last:], "../")
			default:
				out = last
			}
		}
		if !more {
			break
		}
		rest = behind
	}
	if out > 1 && p[out-1] == '/' {
		out--
	}
	return out
}
