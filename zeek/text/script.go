package text

import (
	"net/netip"
	"strconv"

	"github.com/picket-nsm/picket/zeek/value"
)

// AppendConnID appends a connection's ends as Zeek's scripts write a conn_id into a
// text: names of files in data connections are made of it.
func AppendConnID(dst []byte, orig netip.Addr, origP uint16, resp netip.Addr, respP uint16, proto value.Proto) []byte {
	port := func(p uint16) {
		dst = append(append(AppendUint(dst, uint64(p)), '/'), proto.String()...)
	}
	dst = AppendAddr(append(dst, "[orig_h="...), orig)
	dst = append(dst, ", orig_p="...)
	port(origP)
	dst = AppendAddr(append(dst, ", resp_h="...), resp)
	dst = append(dst, ", resp_p="...)
	port(respP)
	number := 65535
	switch proto {
	case value.ProtoTCP:
		number = 6
	case value.ProtoUDP:
		number = 17
	case value.ProtoICMP:
		number = 1
	}
	return append(strconv.AppendInt(append(dst, ", proto="...), int64(number), 10), ", ctx=[]]"...)
}

// AppendEnds appends a connection's ends as Zeek's id_string does: names of files
// are made of them too.
func AppendEnds(dst []byte, orig netip.Addr, origP uint16, resp netip.Addr, respP uint16) []byte {
	dst = append(AppendAddr(dst, orig), ':')
	dst = AppendUint(dst, uint64(origP))
	dst = append(AppendAddr(append(dst, " > "...), resp), ':')
	return AppendUint(dst, uint64(respP))
}

// AppendVector appends strings as Zeek's scripts write a vector of them into a text.
// It ends with the string that goes over limit bytes, which is whole; the others are
// left out.
func AppendVector(dst []byte, list [][]byte, limit int) []byte {
	from := len(dst)
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if dst = append(dst, s...); len(dst)-from > limit {
			break
		}
	}
	return append(dst, ']')
}

// AppendBool appends T or F.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 'T')
	}
	return append(dst, 'F')
}
