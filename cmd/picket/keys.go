package main

import (
	"bytes"
	"unicode/utf8"

	"github.com/picket-nsm/picket/host/status"
)

// sequences are what terminals send for keys without a character, after ESC.
func sequences() map[string]rune {
	return map[string]rune{
		"[A": status.KeyUp, "[B": status.KeyDown, "[C": status.KeyRight, "[D": status.KeyLeft,
		"OA": status.KeyUp, "OB": status.KeyDown, "OC": status.KeyRight, "OD": status.KeyLeft,
		"[5~": status.KeyPageUp, "[6~": status.KeyPageDown,
		"[H": status.KeyHome, "[F": status.KeyEnd, "OH": status.KeyHome, "OF": status.KeyEnd,
		"[1~": status.KeyHome, "[4~": status.KeyEnd, "[7~": status.KeyHome, "[8~": status.KeyEnd,
	}
}

const escape = 0x1b

// longest is the length of the longest sequence that is waited for.
const longest = 16

// incomplete is how many bytes at the end are the beginning of a sequence.
func incomplete(b []byte) int {
	i := bytes.LastIndexByte(b, escape)
	if i < 0 || len(b)-i > longest || sequence(b[i+1:]) > 0 {
		return 0
	}
	if t := b[i+1:]; len(t) == 0 || t[0] == '[' || t[0] == 'O' && len(t) == 1 {
		return len(b) - i
	}
	return 0
}

// sequence is the length of the sequence that text after an escape begins with;
// 0: none, or not all of it.
func sequence(t []byte) int {
	if len(t) < 2 {
		return 0
	}
	if t[0] == 'O' {
		return 2
	}
	if t[0] != '[' {
		return 0
	}
	for i := 1; i < len(t) && i < longest; i++ {
		if t[i] >= 0x40 && t[i] <= 0x7e { // ECMA-48, 5.4: the final byte
			return i + 1
		}
	}
	return 0
}

// parseKeys makes keys of what a terminal sent; sequences that mean nothing to us
// are left out. alone says that nothing follows, so an escape is the key.
func parseKeys(b []byte, alone bool) (out []rune) {
	known := sequences()
	for len(b) > 0 {
		if b[0] == escape {
			if n := sequence(b[1:]); n > 0 {
				if k, ok := known[string(b[1:1+n])]; ok {
					out = append(out, k)
				}
				b = b[1+n:]
				continue
			}
			if alone && len(b) == 1 {
				out = append(out, escape)
			}
			b = b[1:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if r < 0xE000 || r > 0xF8FF { // a key of ours is none of the terminal's
			out = append(out, r)
		}
		b = b[n:]
	}
	return out
}
