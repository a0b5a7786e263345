package http

import (
	"strings"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// methods are the words that requests on other ports are known by: those of the
// IANA registry and of WebDAV, DeltaV and Exchange.
const methods = `OPTIONS GET HEAD POST PUT DELETE QUERY ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY LABEL
	LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MOVE ORDERPATCH PATCH PROPFIND PROPPATCH REBIND REPORT SEARCH
	TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UPDATE VERSION-CONTROL BCOPY BDELETE BMOVE BPROPFIND BPROPPATCH NOTIFY POLL
	SUBSCRIBE UNSUBSCRIBE X-MS-ENUMATTS MKWORKSPACE RPC_IN_DATA RPC_OUT_DATA`

// signatures say what the first bytes look like. Either side suffices.
func signatures() []analyzer.Signature {
	return []analyzer.Signature{
		{Name: "http-client", Proto: value.ProtoTCP, From: analyzer.FromOrig,
			Pattern: `^[[:space:]]*(` + strings.Join(strings.Fields(methods), "|") + `)[[:space:]]*`},
		{Name: "http-server", Proto: value.ProtoTCP, From: analyzer.FromResp, Pattern: `^[hH][tT][tT][pP]\/[0-9]`},
	}
}
