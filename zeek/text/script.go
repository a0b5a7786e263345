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
		dst = append(append(strconv.AppendUint(dst, uint64(p), 10), '/'), proto.String()...)
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
