package tlsmsg

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
)

// AppendJA3 appends the JA3 fingerprint of a ClientHello: an MD5 of version,
// ciphers, extensions, groups and point formats, GREASE left out, in hexadecimal
// (github.com/salesforce/ja3).
func AppendJA3(dst []byte, h *Hello) []byte {
	var room [512]byte
	b := strconv.AppendUint(room[:0], uint64(h.Version), 10)
	b = append(b, ',')
	b = appendList(b, h.Ciphers)
	b = append(b, ',')
	b = appendList(b, h.Extensions)
	b = append(b, ',')
	b = appendList(b, h.Groups)
	b = append(b, ',')
	b = appendList(b, h.PointFormats)
	sum := md5.Sum(b)
	return hex.AppendEncode(dst, sum[:])
}

// AppendJA3S appends the JA3S fingerprint of a ServerHello: version, cipher,
// extensions.
func AppendJA3S(dst []byte, h *Hello) []byte {
	var room [128]byte
	b := strconv.AppendUint(room[:0], uint64(h.Version), 10)
	b = append(b, ',')
	if len(h.Ciphers) > 0 {
		b = strconv.AppendUint(b, uint64(h.Ciphers[0]), 10)
	}
	b = append(b, ',')
	b = appendList(b, h.Extensions)
	sum := md5.Sum(b)
	return hex.AppendEncode(dst, sum[:])
}

// appendList appends numbers with dashes between, without GREASE.
func appendList[T uint8 | uint16 | uint32](b []byte, list []T) []byte {
	first := true
	for _, v := range list {
		if uint64(v) <= 0xffff && GREASE(uint16(v)) {
			continue
		}
		if !first {
			b = append(b, '-')
		}
		first = false
		b = strconv.AppendUint(b, uint64(v), 10)
	}
	return b
}

// AppendJA4 appends the JA4 fingerprint of a ClientHello (FoxIO's JA4, of the
// family only this one is free): transport is t for TCP, q for QUIC, d for DTLS.
func AppendJA4(dst []byte, h *Hello, transport byte) []byte {
	ciphers := make([]uint16, 0, len(h.Ciphers))
	for _, c := range h.Ciphers {
		if c <= 0xffff && !GREASE(uint16(c)) {
			ciphers = append(ciphers, uint16(c))
		}
	}
	var all, hashed []uint16
	for _, e := range h.Extensions {
		if GREASE(e) {
			continue
		}
		all = append(all, e)
		if e != ExtServerName && e != ExtProtocols {
			hashed = append(hashed, e)
		}
	}
	dst = append(dst, transport)
	dst = append(dst, ja4Version(h)...)
	if slices.Contains(h.Extensions, ExtServerName) {
		dst = append(dst, 'd')
	} else {
		dst = append(dst, 'i')
	}
	dst = appendTwo(appendTwo(dst, len(ciphers)), len(all))
	dst = append(appendALPN(dst, h.Protocols), '_')
	slices.Sort(ciphers)
	slices.Sort(hashed)
	dst = appendHash(dst, ciphers, nil)
	return appendHash(append(dst, '_'), hashed, h.Signatures)
}

// ja4Version is the highest version that a client offers.
func ja4Version(h *Hello) string {
	v := h.Version
	if len(h.Versions) > 0 {
		v = 0
		for _, o := range h.Versions {
			if GREASE(o) {
				continue
			}
			// DTLS counts downwards.
			if v == 0 || v>>8 == 0xfe && o < v || v>>8 != 0xfe && o > v {
				v = o
			}
		}
	}
	switch v {
	case TLS13:
		return "13"
	case TLS12:
		return "12"
	case TLS11:
		return "11"
	case TLS10:
		return "10"
	case SSL3:
		return "s3"
	case SSL2:
		return "s2"
	case DTLS10:
		return "d1"
	case DTLS12:
		return "d2"
	case DTLS13:
		return "d3"
	}
	return "00"
}

// appendTwo appends a count as two digits, at most 99.
func appendTwo(b []byte, n int) []byte {
	n = min(n, 99)
	return append(b, byte('0'+n/10), byte('0'+n%10))
}

// appendALPN appends the first and last character of the first protocol, or of
// its hexadecimal form if they are no letters or digits.
func appendALPN(b []byte, protocols [][]byte) []byte {
	if len(protocols) == 0 || len(protocols[0]) == 0 {
		return append(b, "00"...)
	}
	p := protocols[0]
	first, last := p[0], p[len(p)-1]
	if alphanumeric(first) && alphanumeric(last) {
		return append(b, first, last)
	}
	const digits = "0123456789abcdef"
	return append(b, digits[first>>4], digits[last&15])
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// appendHash appends the first twelve digits of the SHA-256 of lists of numbers,
// or zeros if the first one is empty.
func appendHash(dst []byte, list, more []uint16) []byte {
	if len(list) == 0 {
		return append(dst, "000000000000"...)
	}
	b := appendHex(nil, list)
	if len(more) > 0 {
		b = appendHex(append(b, '_'), more)
	}
	sum := sha256.Sum256(b)
	return hex.AppendEncode(dst, sum[:6])
}

func appendHex(b []byte, list []uint16) []byte {
	first := true
	for _, v := range list {
		if GREASE(v) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = hex.AppendEncode(b, []byte{byte(v >> 8), byte(v)})
	}
	return b
}
