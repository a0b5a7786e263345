package http

import (
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schema returns the columns of http.log.
func Schema() *record.Schema {
	return record.New("HTTP::LOG", "http",
		record.Conn(),
		record.Of("trans_depth", value.KindCount),
		record.Optional("method", value.KindString),
		record.Optional("host", value.KindString),
		record.Optional("uri", value.KindString),
		record.Optional("referrer", value.KindString),
		record.Optional("version", value.KindString),
		record.Optional("user_agent", value.KindString),
		record.Optional("origin", value.KindString),
		record.Optional("request_body_len", value.KindCount),
		record.Optional("response_body_len", value.KindCount),
		record.Optional("status_code", value.KindCount),
		record.Optional("status_msg", value.KindString),
		record.Optional("info_code", value.KindCount),
		record.Optional("info_msg", value.KindString),
		record.Of("tags", value.KindSet, value.KindEnum),
		record.Optional("username", value.KindString),
		record.Optional("password", value.KindString),
		record.Optional("proxied", value.KindSet, value.KindString),
		record.Optional("orig_fuids", value.KindVector, value.KindString),
		record.Optional("orig_filenames", value.KindVector, value.KindString),
		record.Optional("orig_mime_types", value.KindVector, value.KindString),
		record.Optional("resp_fuids", value.KindVector, value.KindString),
		record.Optional("resp_filenames", value.KindVector, value.KindString),
		record.Optional("resp_mime_types", value.KindVector, value.KindString),
	)
}

// Columns behind those of rows.Conn, in the order of Schema.
const (
	colDepth = rows.Columns + iota
	colMethod
	colHost
	colURI
	colReferrer
	colVersion
	colAgent
	colOrigin
	colRequestLen
	colResponseLen
	colCode
	colReason
	colInfoCode
	colInfoReason
	colTags
	colUser
	colPassword
	colProxied
	colOrigFiles // three lists
	_
	_
	colRespFiles
	_
	_
	numColumns
)

// emit writes the row as it is now.
func (l *Log) emit(i *info) {
	row := l.row
	clear(row)
	b := l.scratch[:0]
	i.Fill(row)
	row[colDepth] = value.Count(i.depth)
	for _, c := range []struct {
		col int
		f   *rows.Text
	}{
		{colMethod, &i.method}, {colHost, &i.host}, {colURI, &i.uri}, {colReferrer, &i.referrer}, {colAgent, &i.agent},
		{colOrigin, &i.origin}, {colReason, &i.reason}, {colInfoReason, &i.infoReason}, {colUser, &i.user}, {colPassword, &i.password},
	} {
		row[c.col] = c.f.Value()
	}
	if i.hasVersion {
		row[colVersion] = value.String(versionText(i.version.Major, i.version.Minor))
	}
	row[colRequestLen], row[colResponseLen] = value.Count(i.sides[0].body), value.Count(i.sides[1].body)
	if i.hasCode {
		row[colCode] = value.Count(uint64(i.code))
	}
	if i.hasInfo {
		row[colInfoCode] = value.Count(uint64(i.infoCode))
	}
	row[colTags] = value.Set(nil)
	if i.proxied != nil {
		list := l.lists[4][:0]
		for _, p := range i.proxied {
			list = append(list, value.String(value.Borrow(p)))
		}
		l.lists[4] = list
		row[colProxied] = value.Set(list)
	}
	// Room for all ids first: they lie in one buffer.
	if n := (len(i.sides[0].ids) + len(i.sides[1].ids)) * files.MaxText; cap(b) < n {
		b = make([]byte, 0, n)
	}
	for n := range i.sides {
		b = l.files(row[colOrigFiles+3*n:], &i.sides[n], n, b)
	}
	l.scratch = b
	l.write(row)
}

// files fills the three columns of one side.
func (l *Log) files(row []value.Value, sd *sideInfo, n int, b []byte) []byte {
	if len(sd.ids) > 0 {
		list := l.lists[2*n][:0]
		for _, id := range sd.ids {
			at := len(b)
			b = id.AppendText(b)
			list = append(list, value.String(value.Borrow(b[at:])))
		}
		l.lists[2*n] = list
		row[0] = value.Vector(list)
	}
	list := l.lists[2*n+1][:0]
	for _, name := range sd.names {
		list = append(list, value.String(name))
	}
	if names := len(list); names > 0 {
		row[1] = value.Vector(list[:names:names])
	}
	for _, t := range sd.types {
		list = append(list, value.String(t))
	}
	if len(sd.types) > 0 {
		row[2] = value.Vector(list[len(sd.names):])
	}
	l.lists[2*n+1] = list
	return b
}

// versionText is a version as text; the usual ones cost nothing.
func versionText(major, minor uint8) string {
	switch {
	case major == 1 && minor == 1:
		return "1.1"
	case major == 1 && minor == 0:
		return "1.0"
	}
	return string([]byte{'0' + major, '.', '0' + minor})
}
