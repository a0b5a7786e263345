package magic

import (
	"bytes"
	"slices"
	"strings"
)

// rare lists formats that are seldom seen on networks. Where a number is odd, it
// is Zeek's: which of two types wins shows in its logs.
var rare = append(openDocuments(), []entry{
	// Archives and packed data.
	{"application/x-dmg", 100, 0, "\x78\x01\xed", rangeAt(3, 0xd0, 0xd9)},
	{"application/x-dmg", 100, 0, "\x78\xda\xed", rangeAt(3, 0xd0, 0xd9)},
	{"application/x-archive", 70, 0, "<arch>", nil},
	{"application/x-archive", 70, 0, "!<ar>", nil},
	{"application/x-arc", 70, 3, "\x1a", func(b []byte) bool {
		return b[0] < 0x80 && b[1] < 0x80 && (b[2] >= 0x02 && b[2] <= 0x0a || b[2] == 0x14 || b[2] == 0x48)
	}},
	{"application/x-eet", 70, 0, "\x1e\xe7\xff\x00", nil},
	{"application/zip", 340, 0, "MZ", anyOf(litAt(30, "Copyright 1989-1990 PKWARE Inc."), litAt(30, "PKLITE Copr."))},
	{"application/x-lha", 120, 0, "MZ", anyOf(litAt(36, "LHA's SFX"), litAt(36, "LHa's SFX"))},
	{"application/x-svr4-package", 230, 0, "# PaCkAgE DaTaStReAm", nil},
	{"application/x-ia-arc", 140, 0, "filedesc://", nil},
	{"application/vnd.symbian.install", 70, 8, "\x19\x04\x00\x10", nil},
	{"x-epoc/x-sisx-app", 70, 0, "\x7a\x1a\x20\x10", nil},

	// Programs.
	{"application/x-elc", 10, 0, ";ELC", func(b []byte) bool { return len(b) > 4 && (b[4] < 0x20 || b[4] >= 0x80) }},
	{"application/x-python-bytecode", 80, 2, "\r\n", func(b []byte) bool {
		return slices.ContainsFunc(pythons, func(p [2]uint16) bool {
			n := uint16(b[0]) | uint16(b[1])<<8
			return n >= p[0] && n <= p[1]
		})
	}},

	// Documents.
	{"application/x-mif", 190, 0, "<MakerScreenFont", nil},
	{"application/x-mif", 130, 0, "<MakerFile", nil},
	{"application/x-mif", 120, 0, "<BookFile", nil},
	{"application/x-mif", 110, 0, "<MIFFile", nil},
	{"application/x-mif", 90, 0, "<Maker", nil},
	{"application/x-mif", 70, 0, "<MML", nil},
	{"application/x-scribus", 260, 0, "<SCRIBUSUTF8NEW Version", nil},
	{"application/x-freeplane", 260, 0, "<map version=\"freeplane", nil},
	{"application/x-freeplane", 260, 0, "<mapversion=\"freeplane", nil},
	{"application/x-freemind", 150, 0, "<map version", nil},
	{"application/x-freemind", 150, 0, "<mapversion", nil},
	{"application/x-gnumeric", 160, 39, "<gmr:Workbook", nil},
	{"application/x-sc", 140, 38, "Spreadsheet", nil},
	{"application/vnd.lotus-wordpro", 120, 0, "WordPro\r\xfb", nil},
	{"application/vnd.lotus-wordpro", 110, 0, "WordPro\x00", nil},
	{"application/x-quark-xpress-3", 90, 2, "MMXPR3", nil},
	{"application/x-ms-reader", 1, 0, "ITOLITLS", rangeAt(11, 0, 0xff)},
	{"application/x-ichitaro4", 40, 0, "DOC", rangeAt(43, 0x14, 0x14)},
	{"application/x-ichitaro5", 40, 0, "DOC", rangeAt(43, 0x15, 0x15)},
	{"application/x-ichitaro6", 40, 0, "DOC", rangeAt(43, 0x16, 0x16)},
	{"application/vnd.cups-raster", 40, 0, "3SaR", nil},
	{"application/vnd.cups-raster", 40, 0, "RaS3", nil},
	{"application/skp", 100, 0, "\xff\xfe\xff\x0e" + wide("SketchUp Model"), nil},
	{"application/vnd.ms-reg", 49, 0, "\xff\xfe" + strings.TrimSuffix(wide("Windows Registry Editor Version 5.00"), "\x00"), nil},
	{"application/vnd.ms-outlook", 49, 0, "!BDN", func(b []byte) bool {
		return len(b) > 11 && strings.IndexByte("\x0e\x0f\x15\x17", b[10]) >= 0 && b[11] <= 2
	}},
	{"application/x-vim-tmp", 100, 0, "b0VIM", nil},
	{"application/x-kdelnk", 220, 0, "[KDE Desktop Entry]", nil},
	{"application/x-kdelnk", 200, 0, "# KDE Config File", nil},

	// Pictures.
	{"image/x-cpi", 70, 0, "CPC\xb2", nil},
	{"image/x-polar-monitor-bitmap", 160, 0, "[BitmapInfo2]", nil},
	{"image/x-award-bmp", 20, 0, "AWBM", nil},
	{"image/x-award-bioslogo", 50, 0, "\x11", anyAt(1, "\x06\x09")},
	{"image/x-canon-crw", 170, 0, "II\x1a\x00\x00\x00HEAPCCDR", nil},
	{"image/x-canon-cr2", 130, 0, "II*\x00\x10\x00\x00\x00CR", nil},
	{"image/x-quicktime", 70, 4, "idsc", nil},
	{"image/x-lss16", 70, 0, "\x3d\xf3\x13\x14", nil},
	{"image/x-portable-bitmap", 42, 0, "P4", rawPicture},
	{"image/x-portable-greymap", 42, 0, "P5", rawPicture},
	{"image/x-portable-pixmap", 42, 0, "P6", rawPicture},
	{"image/x-epoc-mbm", 70, 0, "\x37\x00\x00\x10\x42\x00\x00\x10", nil},
	{"image/x-epoc-sketch", 70, 0, "\x37\x00\x00\x10\x6d\x00\x00\x10\x7d\x00\x00\x10", nil},
	{"model/vrml", 190, 0, "#VRML", vrml("V1.0", "ascii")},
	{"model/vrml", 180, 0, "#VRML", vrml("V2.0", "utf8")},

	// Sound and film.
	{"audio/x-wav", 190, 0, "RF64\xff\xff\xff\xffWAVEds64", nil},
	{"audio/x-w64", 190, 0, "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", litAt(24, "wave\xf3\xac\xd3\x11\x8c\xd1\x00\xc0O\x8e\xdb\x8a")},
	{"audio/x-mod", 190, 0, "Extended Module:", nil},
	{"audio/x-mod", 20, 0, "MAS_UTrack_V00/0", nil},
	{"audio/x-mod", 110, 21, "!SCREAM!", nil},
	{"audio/x-mod", 110, 21, "BMOD2STM", nil},
	{"audio/x-mod", 70, 0, "IMPM", nil},
	{"audio/x-musepack", 60, 0, "MP+", nil},
	{"audio/x-mp4a-latm", 50, 0, "V", rangeAt(1, 0xe0, 0xff)},
	{"audio/vnd.dolby.dd-raw", 50, 0, "\x0b\x77", nil},
	{"audio/basic", 70, 0, ".snd", coded(1, 7, true)},
	{"audio/x-adpcm", 70, 0, ".snd", coded(0x17, 0x17, true)},
	{"audio/x-dec-basic", 70, 0, ".sd\x00", anyOf(coded(1, 7, false), coded(0x17, 0x17, false))},
	{"application/x-quicktime-player", 70, 4, "pckg", nil},
	{"video/x-sgi-movie", 70, 0, "MOVI", nil},

	// Type faces.
	{"application/x-font-sfn", 70, 0, "\x04\x00\x00\x00", fontMark},
	{"application/x-font-sfn", 70, 0, "\x00\x00\x00\x04", fontMark},
	{"application/vnd.font-fontforge-sfd", 160, 0, "SplineFontDB:", nil},

	// Keys, signatures.
	{"application/pkcs7-signature", 100, 0, "MIME-Version:", func(b []byte) bool {
		return bytes.Contains(b, []byte(`protocol="application/pkcs7-signature"`))
	}},
	{"application/x-gnupg-keyring", 50, 0, "\x99\x01", nil},

	// Databases and what devices keep.
	{"application/x-hdf", 70, 0, "\x0e\x03\x13\x01", nil},
	{"application/x-dbm", 70, 0, "\x61\x15\x06\x00", nil},
	{"application/x-dbm", 70, 0, "\x00\x06\x15\x61", nil},
	{"application/x-gdbm", 70, 0, "GDBM", nil},
	{"application/x-gdbm", 70, 0, "\xce\x9a\x57\x13", nil},
	{"application/x-gdbm", 70, 0, "\x13\x57\x9a\xce", nil},
	{"application/x-tokyocabinet-hash", 40, 0, "ToKyO CaBiNeT\n", rangeAt(32, 0, 0)},
	{"application/x-tokyocabinet-btree", 40, 0, "ToKyO CaBiNeT\n", rangeAt(32, 1, 1)},
	{"application/x-tokyocabinet-fixed", 40, 0, "ToKyO CaBiNeT\n", rangeAt(32, 2, 2)},
	{"application/x-tokyocabinet-table", 40, 0, "ToKyO CaBiNeT\n", rangeAt(32, 3, 3)},
	{"application/vnd.fdo.journal", 80, 0, "LPKSHHRH", func(b []byte) bool {
		return len(b) >= 72 && b[16] <= 3 && bytes.IndexByte(b[24:72], 0) < 0 // ids that are set
	}},
	{"application/marc", 50, 6, "w", func(b []byte) bool { return digits(b[:5]) == 5 && strings.IndexByte("acdn", b[5]) >= 0 }},
	{"application/x-epoc-agenda", 70, 0, "\x50\x00\x00\x10\x6d\x00\x00\x10\x84\x00\x00\x10", nil},
	{"application/x-epoc-data", 70, 0, "\x50\x00\x00\x10\x6d\x00\x00\x10\x86\x00\x00\x10", nil},
	{"application/x-epoc-jotter", 70, 0, "\x50\x00\x00\x10\x6d\x00\x00\x10\xea\x0c\x00\x10", nil},
	{"application/x-epoc-word", 70, 0, "\x37\x00\x00\x10\x6d\x00\x00\x10\x7f\x00\x00\x10", nil},
	{"application/x-epoc-opl", 70, 0, "\x37\x00\x00\x10\x6d\x00\x00\x10\x85\x00\x00\x10", nil},
	{"application/x-epoc-sheet", 70, 0, "\x37\x00\x00\x10\x6d\x00\x00\x10\x88\x00\x00\x10", nil},
	{"application/x-epoc-opo", 70, 0, "\x37\x00\x00\x10\x73\x00\x00\x10", nil},
	{"application/x-epoc-app", 70, 0, "\x37\x00\x00\x10\x74\x00\x00\x10", nil},

	// Texts.
	{"text/x-xmcd", 90, 0, "# xmcd", nil},
	{"message/rfc822", 160, 0, "d", folded("delivered-to:")},
	{"message/rfc822", 160, 0, "D", folded("delivered-to:")},
	{"message/rfc822", 150, 0, "r", folded("return-path:")},
	{"message/rfc822", 150, 0, "R", folded("return-path:")},
	{"application/x-setupscript", 110, 0, "`", setupWide},
	{"application/x-setupscript", 100, 0, "`", setupNarrow},
}...)

// openDocuments lists what an OpenDocument file's first member says that it is
// (OpenDocument 1.2, part 3, 3.3).
func openDocuments() (list []entry) {
	add := func(kind, after string, strength int, also func([]byte) bool) {
		const mime = "application/vnd.oasis.opendocument."
		name := litAt(26, "\x08\x00\x00\x00mimetype"+mime+kind+after)
		list = append(list, entry{mime + kind + after, strength, 0, "PK\x03\x04", func(b []byte) bool {
			return name(b) && (also == nil || also(b))
		}})
	}
	for _, kind := range []string{"text", "graphics", "presentation", "spreadsheet", "chart", "formula", "image"} {
		end := 26 + len("\x08\x00\x00\x00mimetypeapplication/vnd.oasis.opendocument.") + len(kind)
		add(kind, "", 110, func(b []byte) bool { return len(b) > end && b[end] != '-' })
		add(kind, "-template", 120, nil)
	}
	add("text", "-web", 70, nil)
	add("text", "-master", 100, nil)
	add("database", "", 110, nil)
	return list
}

// wide is ASCII text in UTF-16.
func wide(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		b.WriteByte(0)
	}
	return b.String()
}

// pythons are the numbers that compiled Python modules begin with: from, to.
var pythons = [][2]uint16{
	{0xc4fc, 0xc4fc}, {0x4e99, 0x4e99}, {0xc687, 0xc687}, {0xed2a, 0xed2a}, {0xed2d, 0xed2d}, // 1.x to 2.2
	{0xf23b, 0xf23b}, {0xf245, 0xf245}, {0xf259, 0xf259}, {0xf263, 0xf263}, {0xf26d, 0xf26d}, {0xf277, 0xf277}, {0xf281, 0xf281},
	{0xf28b, 0xf28c}, {0xf295, 0xf295}, {0xf29f, 0xf29f}, {0xf2a9, 0xf2a9}, {0xf2b3, 0xf2b3}, {0xf2c7, 0xf2c7}, {0xf2d1, 0xf2d1},
	{0xf2db, 0xf2db}, {0xf2e5, 0xf2e5}, {0xf2ef, 0xf2ef}, {0xf2f9, 0xf2f9}, {0xf303, 0xf303}, // 2.3 to 2.7
	{0x0bb8, 0x0bb8}, {0x0bc2, 0x0bc2}, {0x0bcc, 0x0bcc}, {0x0bd6, 0x0bd6}, {0x0be0, 0x0be0}, {0x0bea, 0x0bea}, {0x0bf4, 0x0bf5}, {0x0bff, 0x0bff},
	{0x0c09, 0x0c09}, {0x0c13, 0x0c13}, {0x0c1d, 0x0c1d}, {0x0c1f, 0x0c1f}, {0x0c27, 0x0c27}, {0x0c3b, 0x0c3b}, // 3.0
	{0x0c45, 0x0c45}, {0x0c4f, 0x0c4f}, {0x0c58, 0x0c58}, {0x0c62, 0x0c62}, {0x0c6c, 0x0c6c}, // 3.1, 3.2
	{0x0c76, 0x0c76}, {0x0c80, 0x0c80}, {0x0c94, 0x0c94}, {0x0c9e, 0x0c9e}, // 3.3
	{0x0cb2, 0x0cb2}, {0x0cc6, 0x0cc6}, {0x0ccc, 0x0ccc}, {0x0cd0, 0x0cd0}, {0x0cda, 0x0cda}, {0x0ce4, 0x0ce4}, {0x0cee, 0x0cee}, // 3.4
	{0x0cf8, 0x0cf8}, {0x0d02, 0x0d02}, {0x0d0c, 0x0d0c}, {0x0d16, 0x0d17}, // 3.5
	{0x0d20, 0x0d21}, {0x0d2a, 0x0d2d}, {0x0d2f, 0x0d33}, {0x0d3e, 0x0d42}, {0x0d48, 0x0d49}, {0x0d52, 0x0d55}, // 3.6 to 3.8
	{0x0d5c, 0x0d61}, {0x0d66, 0x0d6f}, {0x0d7a, 0x0da7}, {0x0dac, 0x0dcb}, {0x0dde, 0x0df3}, {0x0e10, 0x0e19}, // 3.9 to 3.14
}

// size looks for what Zeek takes for the size of a picture: up to fifty digits,
// two blanks, and a digit.
func size(b []byte) bool {
	n := digits(b)
	return n >= 1 && n <= 50 && len(b) > n+2 && b[n] == ' ' && b[n+1] == ' ' && isDigit(b[n+2])
}

// rawPicture looks at the size behind P5 and a character.
func rawPicture(b []byte) bool { return len(b) > 3 && size(b[3:]) }

// plainPictures looks for P1, P2 or P3 with a size, anywhere.
func plainPictures(b []byte, m *match) {
	for {
		i := bytes.IndexByte(b, 'P')
		if i < 0 || len(b) < i+2 {
			return
		}
		b = b[i+1:]
		mime := ""
		switch b[0] {
		case '1':
			mime = "image/x-portable-bitmap"
		case '2':
			mime = "image/x-portable-greymap"
		case '3':
			mime = "image/x-portable-pixmap"
		default:
			continue
		}
		if size(b[1:]) {
			m.take(mime, 42)
		}
	}
}

// diff looks for the beginning of a difference in the unified form.
func diff(b []byte, m *match) {
	for _, word := range []string{"--- ", "\n", "+++ ", "\n", "@@"} {
		i := bytes.Index(b, []byte(word))
		if i < 0 {
			return
		}
		b = b[i+len(word):]
	}
	m.take("text/x-diff", 55)
}

// vrml looks for a version and an encoding, each with a blank in front or not.
func vrml(version, encoding string) func([]byte) bool {
	return func(b []byte) bool {
		b, ok := bytes.CutPrefix(bytes.TrimPrefix(b[len("#VRML"):], []byte(" ")), []byte(version))
		return ok && bytes.HasPrefix(bytes.TrimPrefix(b, []byte(" ")), []byte(encoding))
	}
}

// coded looks at the encoding of a sound file: a number of four bytes at 12.
func coded(from, to byte, big bool) func([]byte) bool {
	return func(b []byte) bool {
		if len(b) < 16 {
			return false
		}
		n, rest := b[12], b[13:16]
		if big {
			n, rest = b[15], b[12:15]
		}
		return n >= from && n <= to && rest[0]|rest[1]|rest[2] == 0
	}
}

// fontMark looks for the number 4 once more, in either order of bytes.
func fontMark(b []byte) bool {
	const at = 104
	return len(b) >= at+4 && (string(b[at:at+4]) == "\x04\x00\x00\x00" || string(b[at:at+4]) == "\x00\x00\x00\x04")
}

// folded looks for a word in small letters, whatever the case of the text.
func folded(word string) func([]byte) bool {
	return func(b []byte) bool { return foldPrefix(b, word) }
}

// setup cuts what setup scripts begin with.
func setup(b []byte) (rest []byte, ok bool) {
	for _, begin := range []string{"`\r\n", "`;", "`[", "`\xff\xfe"} {
		if rest, ok := bytes.CutPrefix(b, []byte(begin)); ok {
			return rest, true
		}
	}
	return nil, false
}

// setupWide looks for [Version] in UTF-16.
func setupWide(b []byte) bool {
	rest, ok := setup(b)
	for ok {
		i := bytes.IndexByte(rest, '[')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		if foldPrefix(rest, "\x00v\x00e\x00r\x00s\x00i\x00o\x00n\x00]") {
			return true
		}
	}
	return false
}

// setupNarrow looks for [version behind another [.
func setupNarrow(b []byte) bool {
	rest, ok := setup(b)
	if i := bytes.IndexByte(rest, '['); ok && i >= 0 {
		for rest = rest[i+1:]; ; {
			if i = bytes.IndexByte(rest, '['); i < 0 {
				break
			}
			if rest = rest[i+1:]; foldPrefix(rest, "version") {
				return true
			}
		}
	}
	return false
}
