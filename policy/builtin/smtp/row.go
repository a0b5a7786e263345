package smtp

import (
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schema returns the columns of smtp.log.
func Schema() *record.Schema {
	f := func(name string, k value.Kind) record.Field { return record.Field{Name: name, Kind: k} }
	o := func(name string, k value.Kind) record.Field { return record.Field{Name: name, Kind: k, Optional: true} }
	set := func(name string) record.Field {
		return record.Field{Name: name, Kind: value.KindSet, Elem: value.KindString, Optional: true}
	}
	return record.New("SMTP::LOG", "smtp",
		f("ts", value.KindTime), f("uid", value.KindString),
		f("id.orig_h", value.KindAddr), f("id.orig_p", value.KindPort),
		f("id.resp_h", value.KindAddr), f("id.resp_p", value.KindPort),
		f("trans_depth", value.KindCount), o("helo", value.KindString), o("mailfrom", value.KindString), set("rcptto"),
		o("date", value.KindString), o("from", value.KindString), set("to"), set("cc"), o("reply_to", value.KindString),
		o("msg_id", value.KindString), o("in_reply_to", value.KindString), o("subject", value.KindString),
		o("x_originating_ip", value.KindAddr), o("first_received", value.KindString), o("second_received", value.KindString),
		o("last_reply", value.KindString),
		record.Field{Name: "path", Kind: value.KindVector, Elem: value.KindAddr, Optional: true},
		o("user_agent", value.KindString), o("tls", value.KindBool),
		record.Field{Name: "fuids", Kind: value.KindVector, Elem: value.KindString, Optional: true})
}

// Columns, in the order of Schema.
const (
	colTS = iota
	colUID
	colOrigH
	colOrigP
	colRespH
	colRespP
	colDepth
	colHelo
	colMailFrom
	colRcptTo
	colDate
	colFrom
	colTo
	colCC
	colReplyTo
	colMessageID
	colInReplyTo
	colSubject
	colOrigin
	colReceived
	colReceived2
	colLastReply
	colPath
	colAgent
	colTLS
	colFiles
	numColumns
)

// emit writes the row as it is now.
func (l *Log) emit(i *info) {
	row := l.row
	clear(row)
	row[colTS] = value.Time(float64(i.ts))
	row[colUID] = value.String(value.Borrow(i.uid.b))
	row[colOrigH], row[colOrigP] = value.Addr16(i.id.Orig), value.Port(i.id.OrigP, i.id.Proto)
	row[colRespH], row[colRespP] = value.Addr16(i.id.Resp), value.Port(i.id.RespP, i.id.Proto)
	row[colDepth] = value.Count(i.depth)
	for _, c := range [...]struct {
		col int
		f   *field
	}{
		{colHelo, &i.helo}, {colMailFrom, &i.mailFrom}, {colDate, &i.date}, {colFrom, &i.from}, {colReplyTo, &i.replyTo},
		{colMessageID, &i.messageID}, {colInReplyTo, &i.inReplyTo}, {colSubject, &i.subject}, {colReceived, &i.received},
		{colReceived2, &i.received2}, {colLastReply, &i.lastReply}, {colAgent, &i.agent},
	} {
		if c.f.set {
			row[c.col] = value.String(value.Borrow(c.f.b))
		}
	}
	for n, c := range [...]struct {
		col int
		s   *set
	}{{colRcptTo, &i.rcptTo}, {colTo, &i.to}, {colCC, &i.cc}} {
		if !c.s.set {
			continue
		}
		list := l.elems[n][:0]
		for k := range c.s.len() {
			list = append(list, value.String(value.Borrow(c.s.at(k))))
		}
		l.elems[n] = list
		row[c.col] = value.Set(list)
	}
	if i.hasOrigin {
		row[colOrigin] = value.Addr16(i.origin)
	}
	list := l.elems[3][:0]
	for _, a := range i.path {
		list = append(list, value.Addr16(a))
	}
	l.elems[3] = list
	row[colPath] = value.Vector(list)
	row[colTLS] = value.Bool(i.tls)
	row[colFiles] = l.files(i.files)
	l.write(row)
}

// files makes a vector of ids. Their texts lie in one buffer.
func (l *Log) files(ids []files.ID) value.Value {
	b := l.text[:0]
	if n := len(ids) * files.MaxText; cap(b) < n {
		b = make([]byte, 0, n)
	}
	list := l.elems[4][:0]
	for _, id := range ids {
		at := len(b)
		b = id.AppendText(b)
		list = append(list, value.String(value.Borrow(b[at:])))
	}
	l.text, l.elems[4] = b, list
	return value.Vector(list)
}
