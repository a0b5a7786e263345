package ftp

import (
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schema returns the columns of ftp.log.
func Schema() *record.Schema {
	return record.New("FTP::LOG", "ftp",
		record.Conn(),
		record.Of("user", value.KindString),
		record.Optional("password", value.KindString),
		record.Optional("command", value.KindString),
		record.Optional("arg", value.KindString),
		record.Optional("mime_type", value.KindString),
		record.Optional("file_size", value.KindCount),
		record.Optional("reply_code", value.KindCount),
		record.Optional("reply_msg", value.KindString),
		record.Optional("data_channel.passive", value.KindBool),
		record.Optional("data_channel.orig_h", value.KindAddr),
		record.Optional("data_channel.resp_h", value.KindAddr),
		record.Optional("data_channel.resp_p", value.KindPort),
		record.Optional("fuid", value.KindString),
	)
}

// Columns behind those of rows.Conn, in the order of Schema.
const (
	colUser = rows.Columns + iota
	colPassword
	colCommand
	colArg
	colMIME
	colSize
	colCode
	colReply
	colPassive
	colDataOrigH
	colDataRespH
	colDataRespP
	colFUID
	numColumns
)

// write writes the row as it is now.
func (s *session) write() {
	row := s.log.row
	clear(row)
	s.Fill(row)
	row[colUser] = value.String(value.Borrow(s.user))
	for _, c := range [...]struct {
		col int
		f   *rows.Text
	}{
		{colPassword, &s.password}, {colCommand, &s.command}, {colArg, &s.arg}, {colMIME, &s.mime}, {colReply, &s.replyMsg},
	} {
		row[c.col] = c.f.Value()
	}
	if s.hasSize {
		row[colSize] = value.Count(s.size)
	}
	if s.hasCode {
		row[colCode] = value.Count(uint64(s.code))
	}
	if s.hasChannel {
		d := &s.channel
		row[colPassive] = value.Bool(d.passive)
		row[colDataOrigH], row[colDataRespH] = value.Addr16(d.orig), value.Addr16(d.resp)
		row[colDataRespP] = value.Port(d.port, value.ProtoTCP)
	}
	if !s.fuid.IsZero() {
		s.log.text = s.fuid.AppendText(s.log.text[:0])
		row[colFUID] = value.String(value.Borrow(s.log.text))
	}
	s.log.deps.Write(row)
}
