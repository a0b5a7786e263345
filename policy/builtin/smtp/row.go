package smtp

import (
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schema returns the columns of smtp.log.
func Schema() *record.Schema {
	return record.New("SMTP::LOG", "smtp",
		record.Conn(),
		record.Of("trans_depth", value.KindCount),
		record.Optional("helo", value.KindString),
		record.Optional("mailfrom", value.KindString),
		record.Optional("rcptto", value.KindSet, value.KindString),
		record.Optional("date", value.KindString),
		record.Optional("from", value.KindString),
		record.Optional("to", value.KindSet, value.KindString),
		record.Optional("cc", value.KindSet, value.KindString),
		record.Optional("reply_to", value.KindString),
		record.Optional("msg_id", value.KindString),
		record.Optional("in_reply_to", value.KindString),
		record.Optional("subject", value.KindString),
		record.Optional("x_originating_ip", value.KindAddr),
		record.Optional("first_received", value.KindString),
		record.Optional("second_received", value.KindString),
		record.Optional("last_reply", value.KindString),
		record.Optional("path", value.KindVector, value.KindAddr),
		record.Optional("user_agent", value.KindString),
		record.Optional("tls", value.KindBool),
		record.Optional("fuids", value.KindVector, value.KindString),
	)
}

// Columns behind those of rows.Conn, in the order of Schema.
const (
	colDepth = rows.Columns + iota
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
	i.Fill(row)
	row[colDepth] = value.Count(i.depth)
	for _, c := range [...]struct {
		col int
		f   *rows.Text
	}{
		{colHelo, &i.helo}, {colMailFrom, &i.mailFrom}, {colDate, &i.date}, {colFrom, &i.from}, {colReplyTo, &i.replyTo},
		{colMessageID, &i.messageID}, {colInReplyTo, &i.inReplyTo}, {colSubject, &i.subject}, {colReceived, &i.received},
		{colReceived2, &i.received2}, {colLastReply, &i.lastReply}, {colAgent, &i.agent},
	} {
		row[c.col] = c.f.Value()
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
